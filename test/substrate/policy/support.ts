/** A policy in force for tests, and another program that edits its rows with plain SQL. */
import { execFileSync } from 'node:child_process';
import * as fc from '../../support/fast-check.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import { homePath } from '../../../src/substrate/home/layout.ts';
import type { Applied } from '../../../src/substrate/policy/apply.ts';
import { applyPolicy } from '../../../src/substrate/policy/apply.ts';
import type { Routing } from '../../../src/substrate/policy/model.ts';
import { resolveRouting } from '../../../src/substrate/policy/policy.ts';
import type { PolicyRows } from '../../../src/substrate/policy/rows.ts';
import { limitsText } from '../../../src/substrate/policy/snapshot.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';

/** The file of the issue that asked for policy, with prices for all. */
export const POLICY = `
version: 1
timezone: "Europe/Berlin"
targets:
  anthropic:    { provider: anthropic, base_url: "https://api.anthropic.com", credential: anthropic }
  gemini:       { provider: gemini, base_url: "https://generativelanguage.googleapis.com", credential: gemini }
  nvidia:       { provider: nvidia, base_url: "https://integrate.api.nvidia.com/v1", credential: nvidia }
  local-ollama: { provider: local-ollama, base_url: "http://127.0.0.1:11434" }
roles:
  worker:
    dispatch: any
    max_output_tokens: 4096
    min_output_tokens: 256
    timeouts_ms: { first_token: 20000, idle: 15000, total: 120000 }
    on_ceiling: stop
    candidates:
      - { target: anthropic, model: "a-tier-2-model", tier: 2 }
      - { target: gemini, model: "another", tier: 2 }
      - { target: local-ollama, model: "llama3.1:8b", tier: 3, context_tokens: 8192 }
  scout:
    dispatch: any
    candidates: [ { target: nvidia, model: "meta/llama-3.1-8b-instruct", tier: 3 } ]
  synthesizer:
    dispatch: cron
    candidates: [ { target: anthropic, model: "a-tier-1-model", tier: 1 } ]
ceilings:
  - { scope: seed, window: day, usd: "5.00" }
  - { scope: "role:worker", window: day, usd: "3.00" }
  - { scope: "label:customer=*", window: month, usd: "20.00" }
prices:
  - { target: nvidia, model: "meta/llama-3.1-8b-instruct", input_usd_per_mtok: "0.05", output_usd_per_mtok: "0.05" }
  - { target: anthropic, model: "a-tier-2-model", input_usd_per_mtok: "3", output_usd_per_mtok: "15", cached_input_usd_per_mtok: "0.30" }
`;

export const ROLES = ['worker', 'scout', 'synthesizer'] as const;

export function apply(substrate: Substrate, document: string = POLICY): Promise<Applied> {
  return applyPolicy(substrate, { document, actor: OWNER, against: null });
}

export function resolve(substrate: Substrate, role: string, dispatch: 'any' | 'cron' = 'any'): Promise<Routing | null> {
  return substrate.read((db) => resolveRouting(db, role, dispatch));
}

/** What every role of {@link POLICY} resolves to, whoever asks; the version left out. */
export async function resolveAll(substrate: Substrate): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const role of ROLES) {
    const routing = await resolve(substrate, role, 'cron');
    found[role] = routing === null ? null : { ...routing, policyVersion: '' };
  }
  return found;
}

/** Runs SQL as an editor of the owner's would: another process, better-sqlite3, nothing of ours. */
export function editOutside(home: string, ...statements: readonly string[]): void {
  const code = `
    const Database = require('better-sqlite3');
    const db = new Database(process.argv[1], { timeout: 5000 });
    db.exec(process.argv[2]);
    db.close();`;
  execFileSync(process.execPath, ['-e', code, homePath(home, 'database'), statements.join(';\n')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

// ---------------------------------------------------------------------------------------------
// Any policy that a file can hold

const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,12}$/).filter((text) => !(text in {}));
const model = fc.stringMatching(/^[A-Za-z0-9@][\w.:/@+-]{0,24}$/);
const limits = fc.record(
  {
    max_output_tokens: fc.integer({ min: 300, max: 1_000_000 }),
    min_output_tokens: fc.integer({ min: 1, max: 300 }),
    timeouts_ms: fc.record(
      { first_token: fc.integer({ min: 1, max: 3_600_000 }), idle: fc.integer({ min: 1, max: 3_600_000 }) },
      { requiredKeys: [] },
    ),
    on_ceiling: fc.constantFrom('stop' as const, 'next' as const),
  },
  { requiredKeys: [] },
);
const scope = fc.oneof(
  fc.constantFrom('seed', 'role:*', 'agent:*', 'label:customer=*', 'session:*'),
  name.map((text) => `agent:${text}`),
  name.map((text) => `label:team=${text}`),
);
const target = fc.record({
  name,
  provider: fc.constantFrom('anthropic', 'gemini', 'nvidia', 'local-ollama'),
  base_url: fc.constantFrom(
    'https://api.example.org',
    'https://api.example.org/v1',
    'http://127.0.0.1:8080',
    'http://[::1]:1',
    'http://localhost',
  ),
  credential: fc.option(name),
});
const microUsd = fc.integer({ min: 0, max: 1e12 });

const contextTokens = fc.option(fc.integer({ min: 1_024, max: 100_000_000 }));

/** Rows as reading a file makes them, in the order in which the database gives them back. */
export const policyRows: fc.Arbitrary<PolicyRows> = fc
  .uniqueArray(target, { minLength: 1, maxLength: 4, selector: (row) => row.name })
  .chain((targets) => {
    const known = fc.constantFrom(...targets.map((row) => row.name));
    const role = fc.record({
      role: name,
      dispatch: fc.constantFrom('any', 'cron'),
      limits,
      candidates: fc.array(
        fc.record({ target: known, model, tier: fc.constantFrom(2, 3), context_tokens: contextTokens }),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
    });
    const price = fc.record({
      target: known,
      model,
      input: microUsd,
      output: microUsd,
      cached_input: fc.option(microUsd),
      cache_write: fc.option(microUsd),
    });
    return fc.record({
      timezone: fc.constantFrom(null, 'Europe/Berlin', 'UTC', 'America/Argentina/Buenos_Aires'),
      targets: fc.constant(targets),
      roles: fc.uniqueArray(role, { minLength: 1, maxLength: 4, selector: (row) => row.role }),
      prices: fc.uniqueArray(price, { maxLength: 4, selector: (row) => `${row.target} ${row.model}` }),
      ceilings: fc.uniqueArray(
        fc.record({
          scope,
          window: fc.constantFrom('call', 'day', 'week', 'month', 'life'),
          limit_micro_usd: fc.integer({ min: 0, max: 1e15 }),
        }),
        { maxLength: 4, selector: (row) => `${row.scope} ${row.window}` },
      ),
      notices: fc.uniqueArray(
        fc.record({ event: fc.constantFrom('ceiling', 'request', 'stall', 'disk'), notifier: name }),
        { maxLength: 3, selector: (row) => `${row.event} ${row.notifier}` },
      ),
    });
  })
  .map(({ timezone, targets, roles, prices, ceilings, notices }) => {
    const routing = roles.flatMap(({ role, dispatch, limits: said, candidates }) =>
      candidates.map((candidate, index) => ({
        role,
        dispatch,
        position: index + 1,
        ...candidate,
        limits: limitsText(said),
      })),
    );
    const owners = prices.map((price) => ({ ...price, source: 'owner', edition: '' }));
    return sorted({ timezone, targets, routing, prices: owners, ceilings, notices });
  });

/** In the order of the database: by key, by bytes. */
export function sorted({ timezone, targets, routing, prices, ceilings, notices }: PolicyRows): PolicyRows {
  const by = <T>(rows: readonly T[], ...keys: readonly (keyof T)[]): T[] =>
    rows.toSorted((a, b) => {
      for (const key of keys) if (a[key] !== b[key]) return a[key] < b[key] ? -1 : 1;
      return 0;
    });
  return {
    timezone,
    targets: by(targets, 'name'),
    routing: by(routing, 'role', 'position'),
    prices: by(prices, 'target', 'model'),
    ceilings: by(ceilings, 'scope', 'window'),
    notices: by(notices, 'event', 'notifier'),
  };
}
