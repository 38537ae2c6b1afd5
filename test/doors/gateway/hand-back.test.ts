/** A conversation that somebody took over comes back to a client that knows of no sessions; none ends under a call. */
import type OpenAI from 'openai';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { sessionOf } from '../../../src/substrate/sessions/sessions.ts';
import type { Session } from '../../../src/substrate/sessions/model.ts';
import { until } from '../../support/child.ts';
import type { ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import { askOwner, asOwner, connectAgent, receipts } from '../rig.ts';
import type { GatewayRig } from './rig.ts';
import { openaiOf, policyOver, openAlone } from './rig.ts';

let stub: ProviderStub;
let rig: GatewayRig;
beforeAll(async () => {
  stub = await startProviderStub();
  return () => stub.close();
});
beforeEach(async () => {
  const opened = await openAlone(policyOver(stub, 'nvidia'));
  rig = opened.rig;
  return opened.end;
});

type Turn = OpenAI.Chat.ChatCompletionMessageParam;
const user = (content: string): Turn => ({ role: 'user', content });
const assistant = (content: string): Turn => ({ role: 'assistant', content });
const FIRST = [user('Carry this on'), assistant('b'), user('c')];
const NEXT = [...FIRST, assistant('d'), user('e')];

async function say(messages: Turn[], answer: string | null, headers: Record<string, string> = {}): Promise<string> {
  if (answer !== null) stub.next({ do: 'answer', answer: { text: [answer] } });
  const { response } = await openaiOf(rig)
    .chat.completions.create({ model: 'worker', messages }, { headers })
    .withResponse();
  return response.headers.get('x-seed-session') ?? '';
}

function sessionNow(id: string): Promise<Session> {
  return rig.substrate.read((db) => sessionOf(db, id));
}

/** A conversation of the client's that a local agent took over once the client was silent. */
async function takenOver() {
  const session = await say(FIRST, 'd');
  const cursor = await connectAgent(rig, 'cursor');
  rig.sources.time += 31_000;
  await cursor.call('handoff_accept', { latest: true, redeem_id: 'now' });
  expect((await sessionNow(session)).holderName).toBe('cursor');
  return { session, cursor };
}

test('[LOCK-HANDOFF-1] what is offered to a client by name it goes on with, by its next request', async () => {
  const { session, cursor } = await takenOver();
  const refused = say(NEXT, null);
  await expect(refused).rejects.toMatchObject({ status: 409 });
  // The client is told what can be done, in words that work.
  await expect(refused).rejects.toThrow(`seed handoff offer ${session} --to client`);
  await cursor.call('handoff_offer', { session_id: session, to: 'client' });
  expect(await say(NEXT, 'f')).toBe(session);
  expect(await sessionNow(session)).toMatchObject({ holderName: 'client', epoch: 3, length: 6, stepCall: null });
  const accepted = (await receipts(rig)).filter(({ action }) => action === 'handoff.accept');
  expect(accepted.at(-1)).toMatchObject({ outcome: 'ok', actor: { id: 'client' } });
  // The one before is fenced off, and the client goes on without another offer.
  const late = await cursor.call('session_append', {
    session_id: session,
    messages: [{ role: 'user', content: 'Late' }],
  });
  expect(late.result?.structuredContent).toMatchObject({ code: 'superseded' });
  expect(await say([...NEXT, assistant('f'), user('g')], 'h')).toBe(session);
  cursor.close();
});

test('also by the session’s name', async () => {
  const { session, cursor } = await takenOver();
  await expect(say(NEXT, null, { 'x-seed-session': session })).rejects.toMatchObject({ status: 409 });
  await asOwner(rig, 'handoff_offer', { session_id: session, to: 'client' });
  expect(await say(NEXT, 'f', { 'x-seed-session': session })).toBe(session);
  cursor.close();
});

test('an offer to somebody else, or of what has gone on without the client, is not redeemed', async () => {
  const { session, cursor } = await takenOver();
  await asOwner(rig, 'handoff_offer', { session_id: session, to: 'cursor' });
  await asOwner(rig, 'handoff_offer', { session_id: session });
  await expect(say(NEXT, null)).rejects.toMatchObject({ status: 409 });
  await cursor.call('session_append', {
    session_id: session,
    messages: [{ role: 'user', content: 'Elsewhere' }],
  });
  await asOwner(rig, 'handoff_offer', { session_id: session, to: 'client' });
  await expect(say(NEXT, null)).rejects.toMatchObject({ status: 409 });
  expect((await sessionNow(session)).holderName).toBe('cursor');
  cursor.close();
});

test('while a call is under way it is not closed, and whoever takes it over is told of the answer to come', async () => {
  const session = await say(FIRST, 'd');
  const cursor = await connectAgent(rig, 'cursor');
  stub.next({ do: 'stall', after: 2, answer: { text: ['slow ', 'answer ', 'here'] } });
  const control = new AbortController();
  await openaiOf(rig).chat.completions.create(
    { model: 'worker', messages: NEXT, stream: true },
    { signal: control.signal },
  );
  const call = (await sessionNow(session)).stepCall ?? '';
  expect(call).not.toBe('');
  const closing = await askOwner(rig, 'session_close', { session_id: session });
  expect(closing.error?.code).toBe('conflict');
  expect(closing.error?.message).toContain(call);
  const offered = await asOwner<{ token: string }>(rig, 'handoff_offer', { session_id: session, to: 'cursor' });
  const taken = await cursor.call('handoff_accept', { token: offered.token });
  expect(taken.result?.structuredContent).toMatchObject({
    step_call: call,
    package: { losses: [expect.stringContaining(call)] },
  });
  expect(JSON.stringify(taken.result?.['content'])).toContain('session_step adds its answer');
  control.abort();
  await until(async () => {
    const last = (await receipts(rig)).findLast(({ action }) => action === 'route.attempt');
    return last?.outcome === 'incomplete';
  }, 'the call to be settled');
  // The control: what was cut off brings no answer, and keeps nothing open.
  expect((await askOwner(rig, 'session_close', { session_id: session })).error).toBeUndefined();
  cursor.close();
});
