/** The official SDKs against a wire alone: their requests are parsed by it, and answered by what it writes. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { SeedError } from '../../../src/errors.ts';
import type { CallEnd } from '../../../src/mind/router/call.ts';
import type { CallEvent } from '../../../src/mind/router/continuation.ts';
import { RUNNING } from '../../../src/mind/router/outcome.ts';
import type { GatewayRequest, Reply, Wire } from '../../../src/doors/gateway/wire.ts';
import type { Part } from '../../../src/substrate/transcript.ts';

/** What an engine would say, piece by piece, and how the call ended; or what was thrown instead. */
export type Script = { readonly events: readonly CallEvent[]; readonly end: CallEnd } | SeedError;

const CREATED = Date.UTC(2026, 10, 21, 12);
const PIECE_BYTES = 7;

export function complete(parts: readonly Part[], outcome: Partial<CallEnd['outcome']> = {}): CallEnd {
  const stop = parts.some(({ type }) => type === 'tool_call') ? 'tool_calls' : 'end';
  return {
    outcome: {
      ...RUNNING,
      status: 'complete',
      stop,
      model_returned: 'model-x-1',
      usage: { input_tokens: 10, output_tokens: 5, cached_input_tokens: 3, cache_write_tokens: 2 },
      ...outcome,
    },
    message: parts.length === 0 ? null : { role: 'assistant', parts: [...parts] },
  };
}

/** A call that did not come to a whole answer. */
export function broken(outcome: Partial<CallEnd['outcome']>, parts: readonly Part[] = []): CallEnd {
  return complete(parts, {
    status: 'failed',
    stop: null,
    usage: null,
    code: 'provider_failed',
    message: 'Anthropic’s answer was cut off.',
    hint: 'Try again later.',
    ...outcome,
  });
}

/** A whole answer as events, its texts in pieces of a few characters. */
export function said(parts: readonly Part[]): CallEvent[] {
  const events = parts.flatMap((part): CallEvent[] => {
    if (part.type === 'text') {
      // Whole characters alone, as the engine gives them out.
      const characters = Array.from(part.text);
      const pieces = Array.from({ length: Math.ceil(characters.length / 3) }, (_, at) =>
        characters.slice(at * 3, at * 3 + 3).join(''),
      );
      return pieces.map((text) => ({ type: 'text', text }));
    }
    if (part.type === 'opaque') return [{ type: 'opaque', part }];
    if (part.type !== 'tool_call') return [];
    return [
      { type: 'tool_call_begun' },
      { type: 'text', text: '' },
      { type: 'tool_call', call: part, providerId: null },
    ];
  });
  return [{ type: 'accepted' }, { type: 'model', model: 'model-x-1' }, ...events];
}

export interface Served {
  readonly fetch: typeof globalThis.fetch;
  /** What the SDK asked, as the wire reads it. */
  readonly asked: GatewayRequest[];
  /** What was answered, as bytes. */
  readonly answered: string[];
}

/** A server that is nothing but a wire. */
export function serve(wire: Wire, script: Script): Served {
  const asked: GatewayRequest[] = [];
  const answered: string[] = [];
  const respond = ({ status, headers, body }: Reply): Response => {
    answered.push(body);
    return new Response(body, { status, headers: { 'content-type': 'application/json', ...headers } });
  };
  const fetch = async (_url: unknown, init?: RequestInit): Promise<Response> => {
    let request: GatewayRequest;
    try {
      request = wire.parse(JSON.parse(init?.body as string), Object.fromEntries(new Headers(init?.headers)));
    } catch (thrown) {
      if (thrown instanceof SeedError) return respond(wire.error(thrown));
      throw thrown;
    }
    asked.push(request);
    if (script instanceof SeedError) return respond(wire.error(script));
    const facts = {
      id: 'c1',
      model: request.model,
      createdAt: CREATED,
      includeUsage: request.includeUsage,
      stopSequences: request.request.stop,
    };
    if (!request.stream) return respond(wire.answer(script.end, facts));
    const encoder = wire.stream(facts);
    const early = script.events.map((event) => encoder.on(event)).join('');
    if (!encoder.begun && script.end.outcome.status !== 'complete') return respond(wire.answer(script.end, facts));
    const text = early + encoder.end(script.end);
    answered.push(text);
    return new Response(inPieces(text), { status: 200, headers: { 'content-type': 'text/event-stream' } });
  };
  return { fetch, asked, answered };
}

/** Bytes in small pieces, which tear lines and characters. */
function inPieces(text: string): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return new ReadableStream({
    pull: (controller) => {
      controller.enqueue(bytes.slice(at, at + PIECE_BYTES));
      at += PIECE_BYTES;
      if (at >= bytes.length) controller.close();
    },
  });
}

/** Nothing of these clients comes from the environment, and they never try again. */
export function openAiClient({ fetch }: Served, maxRetries = 0): OpenAI {
  return new OpenAI({ apiKey: 'key', baseURL: 'http://localhost:1/v1', maxRetries, fetch, logLevel: 'off' });
}

export function anthropicClient({ fetch }: Served, maxRetries = 0): Anthropic {
  return new Anthropic({
    apiKey: 'key',
    authToken: null,
    baseURL: 'http://localhost:1',
    maxRetries,
    fetch,
    logLevel: 'off',
  });
}

/** Everything that a stream says. */
export async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const each of stream) list.push(each);
  return list;
}

export const ROLE = 'coder';

export const CALL_A: Extract<Part, { type: 'tool_call' }> = {
  type: 'tool_call',
  id: 'call_AAAAAAAAAAAAAAAAAAAAAA',
  name: 'read_file',
  arguments: '{"path":"é.txt","n":{"deep":[1,"2",null]}}',
};
export const CALL_B: Extract<Part, { type: 'tool_call' }> = {
  type: 'tool_call',
  id: 'call_BBBBBBBBBBBBBBBBBBBBBB',
  name: 'run',
  arguments: '{}',
};
