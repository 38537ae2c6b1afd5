/** A provider's stream against a stub, gathered. */
import type { ModelRequest, ProviderContext, ProviderEvent } from '../../../../src/mind/router/provider.ts';
import { ProviderFault } from '../../../../src/mind/router/provider.ts';
import { PROVIDER_MODULES } from '../../../../src/mind/router/providers/index.ts';
import type { ProviderName } from '../../../../src/substrate/policy/model.ts';
import type { Message } from '../../../../src/substrate/transcript.ts';

/** Must be seen nowhere but in the request's own header. */
export const CANARY = 'canary-0123456789-credential';
/** Must be seen in no error. */
export const CONTENT = 'a secret of the conversation';

export const ASKED: ModelRequest = {
  model: 'model-a',
  messages: [{ role: 'user', parts: [{ type: 'text', text: CONTENT }] }],
  tools: [{ name: 'run', description: 'Runs it.', parameters: '{"type":"object","properties":{}}' }],
  maxOutputTokens: 64,
  stop: [],
};

export function asking(...messages: Message[]): ModelRequest {
  return { ...ASKED, messages };
}

export interface Streamed {
  readonly events: readonly ProviderEvent[];
  /** Null where the stream ended without one. */
  readonly fault: ProviderFault | null;
}

export interface StreamOptions extends Partial<ProviderContext> {
  readonly baseUrl: string;
  readonly request?: ModelRequest;
  readonly onEvent?: (event: ProviderEvent) => void;
}

/** Reads a stream to its end. @throws whatever is no ProviderFault */
export async function streamOf(name: ProviderName, options: StreamOptions): Promise<Streamed> {
  const { request = ASKED, onEvent = () => {}, ...given } = options;
  const context = { credential: CANARY, ask: globalThis.fetch, signal: new AbortController().signal, ...given };
  const events: ProviderEvent[] = [];
  try {
    for await (const event of PROVIDER_MODULES[name].stream(request, context)) {
      events.push(event);
      onEvent(event);
    }
    return { events, fault: null };
  } catch (thrown) {
    if (thrown instanceof ProviderFault) return { events, fault: thrown };
    throw thrown;
  }
}

/** What was said in all, without the empty texts that only show life. */
export function textOf({ events }: Streamed): string {
  return events.map((event) => (event.type === 'text' ? event.text : '')).join('');
}

export function ofType<T extends ProviderEvent['type']>(
  { events }: Streamed,
  type: T,
): Extract<ProviderEvent, { type: T }>[] {
  return events.filter((event): event is Extract<ProviderEvent, { type: T }> => event.type === type);
}

/** Everything that an error says, its causes included. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return [error.message, error.stack ?? '', JSON.stringify(error), wordsOf(error.cause)].join('\n');
}
