/** Agents that work in sessions and hand them over, on one substrate. */
import type { Actor } from '../../../src/substrate/actor.ts';
import { admit, settle } from '../../../src/substrate/ledger/ledger.ts';
import { budgetCeilings, usedMicroUsd } from '../../../src/substrate/sessions/budget.ts';
import type { Accepted, Latest, Offered, Offering } from '../../../src/substrate/sessions/handover.ts';
import { acceptLatest, acceptToken, ANYBODY, offerSession } from '../../../src/substrate/sessions/handover.ts';
import type { Session } from '../../../src/substrate/sessions/model.ts';
import { sessionOf } from '../../../src/substrate/sessions/sessions.ts';
import type { Added, Addition, Opening } from '../../../src/substrate/sessions/work.ts';
import { appendToSession, beginSession } from '../../../src/substrate/sessions/work.ts';
import { newId } from '../../../src/substrate/sources.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import type { Message } from '../../../src/substrate/transcript.ts';

export const SESSION_SCOPES = ['session.use', 'handoff.offer', 'handoff.accept', 'route.complete'] as const;

export async function open(substrate: Substrate, actor: Actor, opening: Partial<Opening> = {}): Promise<Session> {
  const begun = { checkpoint: { goal: 'Paint the fence' }, budgetMicroUsd: null, deadline: null, ...opening };
  return (await beginSession(substrate, actor, begun)).value;
}

export function say(text: string): Message {
  return { role: 'user', parts: [{ type: 'text', text }] };
}

export function calls(id: string, name = 'paint'): Message {
  return { role: 'assistant', parts: [{ type: 'tool_call', id, name, arguments: '{"colour":"green"}' }] };
}

export function answers(call: string, text = 'painted'): Message {
  return { role: 'tool', parts: [{ type: 'tool_result', call, content: [{ type: 'text', text }], status: 'ok' }] };
}

export function append(
  substrate: Substrate,
  actor: Actor,
  session: string,
  messages: readonly Message[],
  more: Partial<Addition> = {},
): Promise<Added> {
  return appendToSession(substrate, session, { actor, epoch: null, messages, key: null, ...more });
}

export async function offer(
  substrate: Substrate,
  actor: Actor,
  session: string,
  more: Partial<Offering> = {},
): Promise<Offered> {
  const whole = { audience: ANYBODY, lifeMs: 60_000, note: '', budgetMicroUsd: null, scopes: null, ...more };
  return (await offerSession(substrate, actor, { session, ...whole })).value;
}

export function accept(substrate: Substrate, actor: Actor, token: string, redeemId = 'first'): Promise<Accepted> {
  return acceptToken(substrate, actor, { token, redeemId });
}

/** Everybody is connected, unless said otherwise. */
export function latest(substrate: Substrate, actor: Actor, more: Partial<Latest> = {}): Promise<Accepted> {
  return acceptLatest(substrate, actor, { redeemId: 'first', session: null, goneSince: () => null, ...more });
}

export function look(substrate: Substrate, id: string): Promise<Session> {
  return substrate.read((db) => sessionOf(db, id));
}

export function used(substrate: Substrate, id: string): Promise<number> {
  return substrate.read((db) => usedMicroUsd(db, id, substrate.sources.now()));
}

/** Spends from a session as a model call does: admitted within its budget, and settled. */
export async function spend(substrate: Substrate, actor: Actor, session: string, cost: number, bound = cost) {
  const id = newId(substrate.sources);
  await substrate.operate({ action: 'route.attempt', actor }, async (op) => {
    const held = await sessionOf(op, session);
    await admit(op, {
      id,
      spender: { role: 'worker', agent: actor.id, session, labels: {} },
      bound: { inputMicroUsd: bound, outputMicroUsdPerMtok: 0, maxOutputTokens: 1, minOutputTokens: 1 },
      ceilings: budgetCeilings(held),
      timezone: 'UTC',
      target: 'a',
      model: 'm',
      priceVersion: 'test',
    });
  });
  return substrate.operate({ action: 'route.attempt', actor }, (op) =>
    settle(op, { id, costMicroUsd: cost, usage: null }),
  );
}
