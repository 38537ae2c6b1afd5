/** The APIs by their names. */
import { anthropic } from './anthropic/wire.ts';
import { openai } from './openai/wire.ts';
import type { Wire } from './wire.ts';

/** What words an API's errors and lists of models; Responses has those of OpenAI's other API. */
export function wireOf(api: 'openai' | 'anthropic'): Wire {
  return api === 'anthropic' ? anthropic : openai;
}
