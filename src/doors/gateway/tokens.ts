/** How many tokens a request has, about: for clients that ask before they send. */
import { IMAGE_TOKENS } from '../../mind/router/fit.ts';
import type { CompletionRequest } from '../../mind/router/request.ts';
import type { Part } from '../../substrate/transcript.ts';

/**
 * Source code and Chinese have about three bytes a token, English about four. The router's own estimate of what fits
 * (`fit.ts`: two) must not be too low; this one is for a client's meter, and would mislead it at half its length.
 */
const BYTES_PER_TOKEN = 3;

/** What a format writes around a message, a part or a tool, in bytes; small beside what stands in them. */
const FRAME_BYTES = 40;

/** On the neutral form, since which model will answer is not known yet. */
export function likelyTokens({ messages, tools }: Pick<CompletionRequest, 'messages' | 'tools'>): number {
  let bytes = 0;
  let images = 0;
  const count = (part: Part): void => {
    bytes += FRAME_BYTES;
    if (part.type === 'text') bytes += Buffer.byteLength(part.text);
    else if (part.type === 'opaque') bytes += Buffer.byteLength(part.data);
    else if (part.type === 'tool_call') bytes += part.name.length + Buffer.byteLength(part.arguments);
    else if (part.type === 'tool_result') part.content.forEach(count);
    else images += 1;
  };
  for (const { parts } of messages) parts.forEach(count);
  for (const { name, description, parameters } of tools) {
    bytes += FRAME_BYTES + name.length + Buffer.byteLength(description) + Buffer.byteLength(parameters);
  }
  return Math.ceil(bytes / BYTES_PER_TOKEN) + images * IMAGE_TOKENS;
}
