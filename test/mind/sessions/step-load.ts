/**
 * One agent that makes three steps of a session, to be killed in the middle and started again:
 *
 *   step-load.ts HOME [POINT NTH]
 *
 * It says `asked TEXT` when the model is asked, and `answered N TEXT` once a step's answer is stored.
 */
import { Steps } from '../../../src/mind/sessions/steps.ts';
import { findGrantsNamed } from '../../../src/substrate/identity/grants.ts';
import { listHeld } from '../../../src/substrate/sessions/sessions.ts';
import { letIn } from '../../substrate/bus/rig.ts';
import { open, say, SESSION_SCOPES } from '../../substrate/sessions/rig.ts';
import { openToBeKilled, write } from '../killed.ts';
import type { Script } from '../router/rig.ts';
import { applyPolicy, asks, PATIENT, POLICY, routerOf, says } from '../router/rig.ts';

const [home = '', point, nth] = process.argv.slice(2);
const STEPS = 3;

const { substrate, fault } = await openToBeKilled(home, point, nth);

const answer: Script = async function* (request, context) {
  const part = request.messages.at(-1)?.parts[0];
  const asked = part?.type === 'text' ? part.text : '';
  write(`asked ${asked}`);
  yield* says(`answer to ${asked}`)(request, context);
};

const [grant] = await substrate.read((db) => findGrantsNamed(db, 'ann'));
const isNew = grant === undefined;
if (isNew) await applyPolicy(substrate, POLICY);
const scopes = new Set<string>(SESSION_SCOPES);
const ann = isNew
  ? await letIn(substrate, 'ann', { scopes: SESSION_SCOPES })
  : ({ id: 'ann', kind: 'agent', grant: grant.id, scopes } as const);
const [held] = await substrate.read((db) => listHeld(db, ann.grant, 1));
const session = held ?? (await open(substrate, ann, { budgetMicroUsd: 1_000_000 }));
const { router } = routerOf(substrate, { scripts: { 'a/m': answer }, fault });
const steps = new Steps({ substrate, router, fault, onDefect: (error) => write(`defect ${error.message}`) });

const { session: _, ...request } = asks('');

async function step(text: string): Promise<string> {
  const asked = { session: session.id, epoch: null, request: { ...request, messages: [say(text)] }, key: text };
  const { call } = await steps.step({ ...asked, traceparent: null }, ann, PATIENT);
  if (call.outcome.status !== 'in_doubt') return call.text;
  write(`in_doubt ${text}`);
  // Whoever may ask anew says so; the message is in the transcript already.
  const anew = { ...asked, request: { ...request, messages: [] }, key: `${text} anew`, traceparent: null };
  return (await steps.step(anew, ann, PATIENT)).call.text;
}

for (let nr = 1; nr <= STEPS; nr++) write(`answered ${nr} ${await step(`go ${nr}`)}`);
await steps.settled();
await router.close(0);
await substrate.close();
