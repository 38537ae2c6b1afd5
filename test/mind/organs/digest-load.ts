/**
 * A digestor over one home, to be killed in the middle and started again:
 *
 *   digest-load.ts HOME MESSAGES [POINT NTH]
 *
 * Ann sends so many messages, each under a key, so that one that is sent again is the same; it says `open`
 * once it works, `asked N` when the model is asked about message N, and `idle` when all of them are sorted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Pulse } from '../../../src/mind/loop/pulse.ts';
import { systemTimers } from '../../../src/mind/loop/timers.ts';
import { readiness } from '../../../src/substrate/bus/look.ts';
import { findGrantsNamed } from '../../../src/substrate/identity/grants.ts';
import { letIn, say } from '../../substrate/bus/rig.ts';
import { openToBeKilled, write } from '../killed.ts';
import type { Script } from '../router/rig.ts';
import { applyPolicy, POLICY, says } from '../router/rig.ts';
import { organsOf, seatNamed } from './rig.ts';

const [home = '', messages = '', point, nth] = process.argv.slice(2);
const SCOPES = ['bus.send', 'bus.receive', 'task.write', 'memory.write:shared'];
const DIGESTOR = `roles:
  digestor: { dispatch: any, max_output_tokens: 400, min_output_tokens: 10, candidates: [ { target: b, model: m, tier: 3 } ] }`;

const { substrate, fault } = await openToBeKilled(home, point, nth);

/** Says a task or a note, as the message's number has it. */
const model: Script = async function* (request, context) {
  const part = request.messages.at(-1)?.parts[0];
  const { body } = JSON.parse((part as { text: string }).text) as { body: string };
  const nr = Number(/\d+/.exec(body)?.[0]);
  write(`asked ${nr}`);
  yield* says(JSON.stringify({ kind: nr % 2 === 0 ? 'task' : 'note', title: body }))(request, context);
};

const [known] = await substrate.read((db) => findGrantsNamed(db, 'ann'));
if (known === undefined) await applyPolicy(substrate, POLICY.replace('roles:', DIGESTOR));
const ann =
  known === undefined
    ? await letIn(substrate, 'ann', { scopes: SCOPES })
    : ({ id: 'ann', kind: 'agent', grant: known.id, scopes: new Set(SCOPES) } as const);

const rig = organsOf(substrate, { scripts: { 'b/m': model }, fault });
const onDefect = (error: Error): void => write(`defect ${error.message}`);
const brakes = () => Promise.resolve([]);
const pulse = new Pulse({ substrate, seats: [seatNamed(rig, 'digestor')], timers: systemTimers, onDefect, brakes });
pulse.start();
write('open');
await Promise.all(
  Array.from({ length: Number(messages) }, (_, nr) => say(substrate, ann, 'seed', `Message ${nr}`, { key: `m${nr}` })),
);
for (;;) {
  const { waiting } = await substrate.read((db) => readiness(db, 'seed', Date.now()));
  if (waiting === 0 && pulse.state().running.length === 0) break;
  await delay(5);
}
write('idle');
await pulse.close(1_000);
await rig.close();
await substrate.close();
