/**
 * A seed whose worker does tasks, to be killed in the middle and started again:
 *
 *   load.ts HOME [POINT NTH]
 *
 * It goes on with what is there, and then adds tasks of its own: with a point until it is killed there,
 * without one none. In each task one model is cut off in the middle of its answer and the next goes on.
 */
import { writeSync } from 'node:fs';
import { ProviderFault } from '../../../../src/mind/router/provider.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import { doubtCalls } from '../../../../src/substrate/calls.ts';
import { lockHome } from '../../../../src/substrate/home/lock.ts';
import { findService } from '../../../../src/substrate/identity/service.ts';
import { settleLeftovers } from '../../../../src/substrate/ledger/leftovers.ts';
import { settleOpenIntents } from '../../../../src/substrate/receipts/open-intents.ts';
import { systemSources } from '../../../../src/substrate/sources.ts';
import { openSubstrate } from '../../../../src/substrate/substrate.ts';
import { owe } from '../../../substrate/tasks/rig.ts';
import type { Script } from '../../router/rig.ts';
import { applyPolicy, POLICY, says } from '../../router/rig.ts';
import { plays, turnOn, workerOf } from './rig.ts';

const [home = '', point, nth = '1'] = process.argv.slice(2);
const DRIVER = 'better-sqlite3';
const TASKS_MAX = 3;

let passed = 0;
const fault = (at: string): void => {
  if (at === point && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL');
};

await lockHome(home, { driver: DRIVER, role: 'daemon', waitMs: 10_000 });
const substrate = await openSubstrate({ home, driver: DRIVER, sources: systemSources, fault });
// As a daemon starts.
await doubtCalls(substrate);
await settleLeftovers(substrate);
await settleOpenIntents(substrate);

if ((await substrate.read((db) => findService(db, 'worker'))) === null) {
  await applyPolicy(substrate, POLICY);
  await turnOn(substrate);
}

/** Which task a conversation is about: its tools say it in what they leave. */
const taskIn = (text: string): string => /Task (t\d+)/.exec(text)?.[1] ?? '?';

const first: Script = async function* (request, context) {
  const task = taskIn(JSON.stringify(request.messages));
  const isSecond = request.messages.filter(({ role }) => role === 'assistant').length > 0;
  if (isSecond) {
    yield { type: 'accepted' };
    yield { type: 'text', text: `Result of ${task}: ` };
    throw new ProviderFault('cut', 'The line broke.', { mayBeBilled: true });
  }
  yield* plays([
    ['memory_write', { text: `memory of ${task}` }],
    ['receipt_note', { text: `note of ${task}` }],
    ['bus_send', { to: 'owner', text: `message of ${task}` }],
  ])(request, context);
};
const { runAll } = workerOf(substrate, { scripts: { 'a/m': first, 'b/m': says('green.') }, fault });

await runAll();
for (let left = point === undefined ? 0 : TASKS_MAX; left > 0; left--) {
  await owe(substrate, OWNER, 'Paint the fence');
  await runAll();
}
writeSync(1, 'idle\n');
await substrate.close();
