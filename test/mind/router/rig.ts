/** A router over a real substrate, with providers that say what a test tells them to. */
import { Router } from '../../../src/mind/router/router.ts';
import type { ModelRequest, Provider, ProviderContext, ProviderEvent } from '../../../src/mind/router/provider.ts';
import type { ProviderFault } from '../../../src/mind/router/provider.ts';
import type { Asker, CompletionRequest } from '../../../src/mind/router/request.ts';
import { ON_DEMAND } from '../../../src/mind/router/dispatch.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import type { Target } from '../../../src/substrate/policy/model.ts';
import { readDocument } from '../../../src/substrate/policy/document.ts';
import { putPolicy } from '../../../src/substrate/policy/change.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import type { SeedError } from '../../../src/errors.ts';
import { CURSOR } from '../../support/home.ts';

/** What a scripted provider does when it is called. */
export type Script = (request: ModelRequest, context: ProviderContext) => AsyncIterable<ProviderEvent>;

/** Says a text and ends. */
export function says(text: string, usage = { input: 10, output: 5, cachedInput: 0, cacheWrite: 0 }): Script {
  return async function* () {
    yield { type: 'accepted' };
    yield { type: 'model', model: 'the-one-that-answered' };
    yield { type: 'text', text };
    yield { type: 'end', stop: 'end', usage };
  };
}

/** Says the events and then fails. */
export function fails(fault: ProviderFault, before: readonly ProviderEvent[] = []): Script {
  return async function* () {
    yield* before;
    throw fault;
  };
}

/** Says the events and then nothing until it is aborted. */
export function hangs(before: readonly ProviderEvent[] = []): Script {
  return async function* (_request, { signal }) {
    yield* before;
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  };
}

export interface ScriptedCall {
  readonly target: string;
  readonly model: string;
  readonly maxOutputTokens: number;
  readonly request: ModelRequest;
}

export interface Rig {
  readonly router: Router;
  /** Every call that reached a provider, in order. */
  readonly calls: readonly ScriptedCall[];
  readonly defects: readonly SeedError[];
  /** What grants have open, as the membrane would see it. */
  readonly work: Map<string, Set<() => void>>;
}

export interface RigOptions {
  /** By `target/model`; what has no script fails the test. */
  readonly scripts: Readonly<Record<string, Script>>;
  readonly fault?: (point: string) => void;
}

/** Builds a router whose only way out are the scripts. */
export function routerOf(substrate: Substrate, { scripts, fault }: RigOptions): Rig {
  const calls: ScriptedCall[] = [];
  const defects: SeedError[] = [];
  const work = new Map<string, Set<() => void>>();
  const provider: Provider = {
    name: 'anthropic',
    overhead: { perRequest: 10, perMessage: 5, perTool: 50, perImage: 1_000 },
    encode: (request) => ({ body: JSON.stringify(request.messages), losses: [] }),
    async *stream(request, context) {
      const target = context.baseUrl.slice('https://'.length).replace('.example', '');
      calls.push({ target, model: request.model, maxOutputTokens: request.maxOutputTokens, request });
      const script = scripts[`${target}/${request.model}`];
      if (script === undefined) throw new Error(`No script for ${target}/${request.model}.`);
      yield* script(request, context);
    },
  };
  const router = new Router({
    substrate,
    provider: () => provider,
    open: async (_target: Target) => ({ ask: globalThis.fetch, credential: null }),
    onDefect: (error) => defects.push(error),
    register: (grant, cut) => {
      const open = work.get(grant) ?? new Set();
      work.set(grant, open);
      open.add(cut);
      return () => open.delete(cut);
    },
    ...(fault === undefined ? {} : { fault }),
  });
  return { router, calls, defects, work };
}

/** A policy of two targets, `a` and `b`, each at $1 in and $2 out for a million tokens. */
export const POLICY = `
version: 1
timezone: UTC
targets:
  a: { provider: anthropic, base_url: "https://a.example" }
  b: { provider: anthropic, base_url: "https://b.example" }
roles:
  worker:
    dispatch: any
    max_output_tokens: 1000
    min_output_tokens: 10
    timeouts_ms: { first_token: 2000, idle: 2000, total: 5000 }
    candidates:
      - { target: a, model: m, tier: 2 }
      - { target: b, model: m, tier: 3 }
  synthesizer:
    dispatch: cron
    max_output_tokens: 1000
    candidates: [ { target: a, model: big, tier: 1 } ]
ceilings:
  - { scope: seed, window: day, usd: "1.00" }
prices:
  - { target: a, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }
  - { target: b, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }
  - { target: a, model: big, input_usd_per_mtok: "10", output_usd_per_mtok: "20" }
`;

/** Applies a policy file's text. */
export async function applyPolicy(substrate: Substrate, text: string): Promise<void> {
  const { rows, problems } = readDocument(text);
  if (rows === null) throw new Error(JSON.stringify(problems));
  await substrate.operate({ action: 'policy.apply', actor: OWNER }, (op) =>
    putPolicy(op, { document: text, rows, origin: 'apply' }),
  );
}

export function asks(text: string, more: Partial<CompletionRequest> = {}): CompletionRequest {
  return {
    role: 'worker',
    messages: [{ role: 'user', parts: [{ type: 'text', text }] }],
    tools: [],
    maxOutputTokens: null,
    stop: [],
    labels: {},
    session: null,
    ...more,
  };
}

export function asker(more: Partial<Asker> = {}, actor: Actor = CURSOR): Asker {
  return { actor, dispatch: ON_DEMAND, idempotencyKey: null, traceparent: null, ...more };
}

/** Waits for the end, with patience. */
export const PATIENT = { waitMs: 20_000, signal: new AbortController().signal };
