/**
 * A seed whose worker does tasks, to be killed in the middle and started again:
 *
 *   load.ts HOME [POINT NTH]
 *
 * It goes on with what is there, and then adds tasks of its own: with a point until it is killed there,
 * without one none. In each task one model is cut off in the middle of its answer and the next goes on.
 */
import { ProviderFault } from '../../../../src/mind/router/provider.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import { findService } from '../../../../src/substrate/identity/service.ts';
import { owe } from '../../../substrate/tasks/rig.ts';
import { openToBeKilled, write } from '../../killed.ts';
import type { Script } from '../../router/rig.ts';
import { applyPolicy, POLICY, says } from '../../router/rig.ts';
import { plays, turnOn, workerOf } from './rig.ts';

const [home = '', point, nth] = process.argv.slice(2);
const TASKS_MAX = 3;

const { substrate, fault } = await openToBeKilled(home, point, nth);

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
write('idle');
await substrate.close();
