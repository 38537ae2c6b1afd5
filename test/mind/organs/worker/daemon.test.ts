/** The real daemon, killed in the phases of a worker's task: its loop takes the task up again by itself. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { callOwnerDoor } from '../../../../src/cli/owner-client.ts';
import { readSettings } from '../../../../src/substrate/home/settings.ts';
import { socketPaths } from '../../../../src/substrate/home/sockets.ts';
import type { Row } from '../../../../src/substrate/substrate.ts';
import { until } from '../../../support/child.ts';
import { openAgain, verifyExport } from '../../../support/home.ts';
import type { StubRequest } from '../../../support/provider-stub.ts';
import { startProviderStub } from '../../../support/provider-stub.ts';
import { scratch } from '../../../support/scratch.ts';
import { seed, serving, startSeed } from '../../../support/seed-command.ts';

/** The loop's own start stands behind each of them; the other phases are killed in `kill.test.ts`. */
const POINTS = ['route.answered', 'worker.tool.done', 'worker.finished'];

function policyOf(urls: { readonly one: string; readonly two: string }): string {
  return `
version: 1
timezone: UTC
targets:
  one: { provider: anthropic, base_url: "${urls.one}" }
  two: { provider: nvidia, base_url: "${urls.two}" }
roles:
  worker:
    dispatch: any
    max_output_tokens: 1000
    min_output_tokens: 10
    timeouts_ms: { first_token: 5000, idle: 5000, total: 10000 }
    candidates: [ { target: one, model: m, tier: 2 }, { target: two, model: m, tier: 3 } ]
ceilings: [ { scope: seed, window: day, usd: "1.00" } ]
prices:
  - { target: one, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }
  - { target: two, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }
`;
}

const USAGE = { input: 100, output: 10 };

/** One model calls a tool and is cut off in its second answer; the other goes on from there. */
async function answers({ provider, body }: StubRequest) {
  const { messages } = JSON.parse(body) as { readonly messages: readonly { readonly role: string }[] };
  const call = { name: 'bus_send', arguments: JSON.stringify({ to: 'owner', text: 'Painted.' }) };
  if (!messages.some(({ role }) => role === 'assistant')) {
    return { do: 'answer', answer: { calls: [call], usage: USAGE } } as const;
  }
  if (provider === 'anthropic') return { do: 'cut', after: 5, answer: { text: ['It is ', 'quite '] } } as const;
  return { do: 'answer', answer: { text: ['green.'], usage: USAGE } } as const;
}

test('[LOCK-RECEIPT-2] the daemon, killed in the middle of a task, goes on with it when it starts again', async () => {
  using dir = scratch();
  await using models = await startProviderStub(answers);
  const home = dir.at('home');
  const policy = dir.at('policy.yaml');
  writeFileSync(policy, policyOf({ one: models.baseUrl('anthropic'), two: models.baseUrl('nvidia') }));
  for (const args of [['init'], ['policy', 'apply', policy], ['mind', 'on', 'worker'], ['task', 'add', 'Paint it']]) {
    expect([args[0], await seed(home, args)]).toMatchObject([args[0], { code: 0 }]);
  }
  for (const point of POINTS) {
    await using killed = startSeed(home, ['up'], { env: { SEED_FAULT: point } });
    expect([point, await killed.ended]).toEqual([point, { code: null, signal: 'SIGKILL' }]);
  }
  await using last = startSeed(home, ['up']);
  await serving(last);
  const { owner } = socketPaths(home, readSettings(home).sockets);
  const shown = async (): Promise<string> =>
    JSON.stringify(await callOwnerDoor(owner, { tool: 'worker_show', input: {} }, () => {}));
  await until(async () => (await shown()).includes('"handed_in"'), 'the task to be handed in');
  last.kill('SIGTERM');
  expect(await last.ended).toEqual({ code: 0, signal: null });

  await using again = await openAgain(home);
  const { substrate } = again;
  const facts = await substrate.read(async (db) => ({
    tasks: await db.all<{ state: string; lease: number } & Row>('SELECT state, lease FROM substrate_tasks'),
    sent: await db.get<{ sent: number } & Row>(
      "SELECT count(*) AS sent FROM substrate_messages WHERE sender_name = 'seed-worker'",
    ),
    held: await db.get<{ held: number } & Row>(
      'SELECT count(*) AS held FROM substrate_ledger WHERE cost_micro_usd IS NULL',
    ),
  }));
  expect(facts).toEqual({ tasks: [{ state: 'finished', lease: 1 }], sent: { sent: 1 }, held: { held: 0 } });
  expect(models.requests.map(({ provider }) => provider)).toContain('nvidia');
  expect(await verifyExport(substrate, { out: dir.at('out'), pinnedRoot: again.pinnedRoot })).toMatchObject({
    verdict: 'proven',
  });
}, 90_000);
