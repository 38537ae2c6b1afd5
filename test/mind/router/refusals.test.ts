/** What may not be called is not: at every door, no connection to the provider, and one receipt that says why. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Receipt } from '../../../src/formats/receipt.ts';
import type { AgentConnection, Rig } from '../../doors/rig.ts';
import { askOwner, asOwner, callOverHttp, connectAgent, edit, openRig, receipts } from '../../doors/rig.ts';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';

const PASSPHRASE = 'correct horse battery staple';

let folder: Scratch;
let stub: ProviderStub;
let rig: Rig;
let agent: AgentConnection;
let key: string;

beforeEach(async () => {
  folder = scratch();
  stub = await startProviderStub();
});

afterEach(async () => {
  agent?.close();
  await rig?.close();
  await stub.close();
  folder[Symbol.dispose]();
});

async function open(passphrase?: string): Promise<void> {
  rig = await openRig(folder.at('home'), passphrase === undefined ? {} : { passphrase });
  await asOwner(rig, 'policy_apply', { document: policyFile() }, passphrase);
  const scopes = ['route.complete'];
  ({ key } = await asOwner<{ key: string }>(rig, 'key_issue', { name: 'helper', scopes }, passphrase));
  agent = await connectAgent(rig, 'cursor');
}

function policyFile(limit = '1.00'): string {
  return `
version: 1
targets: { one: { provider: anthropic, base_url: "${stub.baseUrl('anthropic')}" } }
roles:
  worker: { dispatch: any, candidates: [{ target: one, model: m, tier: 2 }] }
  unpriced: { dispatch: any, candidates: [{ target: one, model: no-price, tier: 2 }] }
ceilings: [{ scope: seed, window: day, usd: "${limit}" }]
prices: [{ target: one, model: m, input_usd_per_mtok: "3", output_usd_per_mtok: "15" }]
`;
}

interface Told {
  readonly status?: unknown;
  readonly code?: unknown;
  readonly receipt?: unknown;
  readonly tier?: unknown;
}

/** Asks a role at every door, and says what each was told. */
async function askEverywhere(role: string): Promise<Told[]> {
  const input = { role, messages: [{ role: 'user', content: 'Hello?' }] };
  const owner = await askOwner(rig, 'route_complete', input);
  const overSocket = await agent.call('route_complete', input);
  const overHttp = await callOverHttp(rig, key, 'route_complete', input);
  for (const { result } of [overSocket, overHttp]) {
    expect(result?.isError ?? false).toBe(result?.structuredContent?.['status'] !== 'complete');
  }
  return [owner.result ?? owner.error, overSocket.result?.structuredContent, overHttp.result?.structuredContent].map(
    (told) => (told ?? {}) as Told,
  );
}

async function after(seq: number): Promise<Receipt[]> {
  return (await receipts(rig)).filter((receipt) => receipt.seq >= seq);
}

const WORKER = "role = 'worker'";

/** What is in the way, how it gets there, and by which code it is told. */
const REFUSALS: readonly {
  readonly what: string;
  readonly role?: string;
  readonly code: string;
  readonly sql?: string;
  readonly file?: () => string;
  readonly passphrase?: string;
}[] = [
  { what: 'a call over the ceiling', code: 'over_ceiling', file: () => policyFile('0.000100') },
  { what: 'an unknown role', role: 'nobody', code: 'no_route' },
  {
    what: 'an unknown target',
    code: 'no_route',
    sql: `UPDATE substrate_routing_config SET target = 'elsewhere' WHERE ${WORKER}`,
  },
  { what: 'a missing price', role: 'unpriced', code: 'no_candidate' },
  {
    what: 'a corrupt row of the role',
    code: 'no_route',
    sql: `UPDATE substrate_routing_config SET limits = '{"max_output' WHERE ${WORKER}`,
  },
  { what: 'a corrupt ceiling', code: 'no_route', sql: 'UPDATE substrate_ceilings SET limit_micro_usd = -1' },
  {
    what: 'an edit that the owner has not acknowledged',
    code: 'no_route',
    sql: 'UPDATE substrate_ceilings SET limit_micro_usd = 999000000',
    passphrase: PASSPHRASE,
  },
];

describe('[LOCK-RUNTIME-2] [LOCK-RUNTIME-3] nothing is sent, and one receipt is left', () => {
  test.each(REFUSALS)('for $what', async ({ role = 'worker', code, sql, file, passphrase }) => {
    await open(passphrase);
    // The control: before it stood in the way, every door got an answer.
    expect(await askEverywhere('worker')).toMatchObject([1, 2, 3].map(() => ({ status: 'complete', tier: 2 })));
    expect(stub.requests).toHaveLength(3);
    const connections = stub.connections();
    if (file !== undefined) await asOwner(rig, 'policy_apply', { document: file() }, passphrase);
    if (sql !== undefined) edit(rig.home, sql);
    const { size } = await rig.substrate.log();

    const told = await askEverywhere(role);
    expect(told).toMatchObject([1, 2, 3].map(() => ({ status: 'refused', code })));
    expect(stub.requests).toHaveLength(3);
    expect(stub.connections()).toBe(connections);
    const left = await after(size);
    const edits = left.filter(({ action }) => action === 'policy.external_edit');
    const refused = left.filter(({ action }) => action !== 'policy.external_edit');
    expect(edits).toHaveLength(sql === undefined ? 0 : 1);
    expect(refused).toMatchObject(
      ['owner', 'cursor', 'helper'].map((id) => ({
        action: 'route.attempt',
        actor: { id },
        outcome: 'refused',
        code,
        detail: { role },
      })),
    );
    expect(told.map(({ receipt }) => receipt)).toEqual(refused.map(({ seq }) => seq));
    // A decision that touched a ceiling says of what it was one; of the others nothing was looked at.
    const hash: unknown = code === 'over_ceiling' ? expect.stringMatching(/^[0-9a-f]{64}$/) : null;
    expect(refused.map(({ input }) => input)).toEqual([hash, hash, hash]);
    expect(await rig.substrate.read((db) => db.get('SELECT count(*) AS n FROM substrate_ledger'))).toEqual({ n: 3 });
  });

  test('[LOCK-RUNTIME-1] and once the owner acknowledges the edit, it counts', async () => {
    await open(PASSPHRASE);
    edit(rig.home, 'UPDATE substrate_ceilings SET limit_micro_usd = 999000000');
    expect(await askEverywhere('worker')).toMatchObject([1, 2, 3].map(() => ({ status: 'refused' })));
    expect((await askOwner(rig, 'policy_ack')).error?.code).toBe('passphrase_required');
    await asOwner(rig, 'policy_ack', {}, PASSPHRASE);
    expect(await askEverywhere('worker')).toMatchObject([1, 2, 3].map(() => ({ status: 'complete' })));
    expect(stub.requests).toHaveLength(3);
  });
});

test('[LOCK-RUNTIME-1] an edit from outside and back again leaves both, before the next call goes out', async () => {
  await open();
  const { size } = await rig.substrate.log();
  edit(rig.home, `UPDATE substrate_routing_config SET model = 'other' WHERE ${WORKER}`);
  edit(rig.home, `UPDATE substrate_routing_config SET model = 'm' WHERE ${WORKER}`);
  expect((await askEverywhere('worker')).map(({ status }) => status)).toEqual(['complete', 'complete', 'complete']);
  const [there, back, intent] = await after(size);
  const modelsOf = (receipt: Receipt | undefined): unknown[] =>
    ['before', 'after'].map((side) => (JSON.parse(receipt?.detail[side] as string) as { model: string }).model);
  expect([there, back]).toMatchObject([1, 2].map(() => ({ action: 'policy.external_edit', outcome: 'ok' })));
  expect([modelsOf(there), modelsOf(back)]).toEqual([
    ['m', 'other'],
    ['other', 'm'],
  ]);
  expect(intent).toMatchObject({ action: 'route.attempt', outcome: 'intent', detail: { model: 'm', policy: '1+2' } });
});
