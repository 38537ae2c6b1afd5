/** Who asks for what: the same requests whoever works them out, the harness or a client that replaces a killed one. */
import { seededNumbers } from '../../support/sources.ts';

/** Tasks that one client works on at once. */
export const SLOTS = 4;

export interface Task {
  /** Unique in the whole run, and in the prompt: by it a request at the provider finds its intent. */
  readonly text: string;
  readonly role: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly idempotencyKey: string | null;
}

const PADDING = 'x'.repeat(400);

/**
 * The n-th task of a client. With a key it is the same for every life of the client; without one a later
 * life has its own, so that no two calls ask for the same.
 */
export function taskOf(run: string, { client, life, n }: { client: number; life: number; n: number }): Task {
  const random = seededNumbers(`${run} ${client} ${n}`);
  const keyed = random(2) === 0;
  const customer = ['', 'acme', 'acme', 'globex'][random(4)] ?? '';
  return {
    text: `task-${client}-${n}${keyed ? '' : `-${life}`} ${PADDING.slice(0, random(PADDING.length))}`,
    role: random(3) === 0 ? 'scout' : 'worker',
    labels: customer === '' ? {} : { customer },
    idempotencyKey: keyed ? `key-${client}-${n}` : null,
  };
}

/** What stands for a task in the prompt that carries it. */
export function taskIn(text: string): string {
  const found = /task-[\d-]+/.exec(text)?.[0];
  if (found === undefined) throw new Error(`No task in: ${text.slice(0, 200)}`);
  return found;
}

/** Micro-dollars for a million tokens. */
export const PRICES = {
  anthropic: { input: 3_000_000, cached: 300_000, output: 15_000_000 },
  nvidia: { input: 1_000_000, cached: 1_000_000, output: 5_000_000 },
} as const;

export interface Limit {
  readonly scope: string;
  readonly window: 'call' | 'day' | 'month';
  readonly microUsd: number;
}

export const TIMEZONE = 'Europe/Berlin';

const usd = (microUsd: number): string => `"${(microUsd / 1e6).toFixed(6)}"`;

/** Two targets, a role that stops at a ceiling and one that goes on to the cheaper target. */
export function policyFile(
  urls: { readonly anthropic: string; readonly nvidia: string },
  limits: readonly Limit[],
): string {
  const { anthropic, nvidia } = PRICES;
  const common = 'dispatch: any\n    max_output_tokens: 400\n    min_output_tokens: 40';
  return `
version: 1
timezone: ${TIMEZONE}
targets:
  one: { provider: anthropic, base_url: "${urls.anthropic}" }
  two: { provider: nvidia, base_url: "${urls.nvidia}" }
roles:
  worker:
    ${common}
    candidates: [ { target: one, model: large, tier: 2 }, { target: two, model: small, tier: 3 } ]
  scout:
    ${common}
    on_ceiling: next
    candidates: [ { target: one, model: large, tier: 2 }, { target: two, model: small, tier: 3 } ]
prices:
  - { target: one, model: large, input_usd_per_mtok: ${usd(anthropic.input)}, cached_input_usd_per_mtok: ${usd(anthropic.cached)}, output_usd_per_mtok: ${usd(anthropic.output)} }
  - { target: two, model: small, input_usd_per_mtok: ${usd(nvidia.input)}, output_usd_per_mtok: ${usd(nvidia.output)} }
ceilings: [${limits.map(({ scope, window, microUsd }) => `{ scope: "${scope}", window: ${window}, usd: ${usd(microUsd)} }`).join(', ')}]
`;
}
