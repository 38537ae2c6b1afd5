/**
 * The step before an attempt, in one transaction: resolve, choose, hold the money, write the intent.
 *
 * No byte leaves before it is durable (LOCK-RUNTIME-4). A refusal leaves one receipt and nothing else.
 */
import type { ErrorCode } from '../../errors.ts';
import { SeedError } from '../../errors.ts';
import type { Benched } from '../../substrate/benched.ts';
import { listBenched } from '../../substrate/benched.ts';
import { findCallByKey, findCall, insertCall, updateCall } from '../../substrate/calls.ts';
import { contentHash, putContent, SALT_BYTES } from '../../substrate/content.ts';
import { admit } from '../../substrate/ledger/ledger.ts';
import type { Hold } from '../../substrate/ledger/model.ts';
import type { Ceiling, ProviderName, Routing } from '../../substrate/policy/model.ts';
import { payerOf } from '../../substrate/identity/grants.ts';
import type { PolicySnapshot } from '../../substrate/policy/policy.ts';
import { ceilingsOf, NOTED_POLICY, timezoneOf } from '../../substrate/policy/policy.ts';
import { budgetCeilings } from '../../substrate/sessions/budget.ts';
import type { Hop } from '../../substrate/sessions/hops.ts';
import { offerHop, openHop, redeemHop } from '../../substrate/sessions/hops.ts';
import type { Session } from '../../substrate/sessions/model.ts';
import { heldSession } from '../../substrate/sessions/sessions.ts';
import type { Sources } from '../../substrate/sources.ts';
import { isoTime } from '../../substrate/sources.ts';
import type { Operation } from '../../substrate/substrate.ts';
import { HALTED } from '../../substrate/switches.ts';
import type { Choice } from './choose.ts';
import { candidateKey, choose } from './choose.ts';
import { continuing } from './continuation.ts';
import type { Refusal } from './admission-receipt.ts';
import { intentDetail, refusalDetail } from './admission-receipt.ts';
import type { CallFacts } from './call-facts.ts';
import { dispatchOf } from './dispatch.ts';
import type { AttemptView } from './outcome.ts';
import type { Provider } from './provider.ts';
import type { Asker } from './request.ts';
import { requestText } from './request.ts';

/** Why work that waited for the drain was not done. */
export const CANCELLED_WHILE_QUEUED = 'Whoever asked for it cancelled it before the drain took it up.';

/** How long the content of a call is kept, in milliseconds. */
export const CALL_CONTENT_MS = 90 * 24 * 60 * 60 * 1_000;

/** An attempt that may be made: its intent is on record and its money is held. */
export interface Admitted {
  readonly kind: 'go';
  readonly choice: Choice;
  readonly routing: Routing;
  readonly hold: Hold;
  readonly input: string;
  /** The session's epoch, where the call is made in one. */
  readonly epoch: number | null;
  readonly skipped: readonly AttemptView[];
}

/** No attempt; `last` when no other candidate may be asked either. */
export interface Refused {
  readonly kind: 'refused';
  readonly last: boolean;
  readonly error: SeedError;
  /** The candidate that a ceiling refused, if one did. */
  readonly refused: Choice | null;
  readonly skipped: readonly AttemptView[];
}

export interface AdmissionParts {
  readonly sources: Sources;
  readonly provider: (name: ProviderName) => Provider;
}

/** Decides on the next attempt of a call, inside the operation that leaves its receipt. */
export async function admitAttempt(op: Operation, call: CallFacts, parts: AdmissionParts): Promise<Admitted | Refused> {
  const { request, asker, tried } = call;
  const dispatch = dispatchOf(asker.dispatch);
  op.receipt({ subject: { type: 'call', id: call.id }, input: call.input });
  // Others are turned away at the doors; the owner may ask, and no candidate would be reached.
  if (await op.recall(HALTED)) return refuse(op, call, { error: nothingGoesOut(), last: true });
  // An edit that came since they were last looked for gets its receipt first.
  const policy = await op.recall(NOTED_POLICY);
  if (policy === null) return refuse(op, call, { error: policyChanged(), last: false });
  if (await isTakenOff(op, call)) return refuse(op, call, { error: takenOff(), last: true });
  const resolved = policy.resolve(request.role, dispatch).routing;
  if (resolved === null) return refuse(op, call, { error: noRoute(request.role), last: true });
  const routing = narrowed(resolved, asker);
  const within = await sessionOf(op, call);
  if (within instanceof SeedError) return refuse(op, call, { error: within, last: true, routing });
  const benched = await listBenched(op, op.now, routing.policyVersion);
  const { choice, skipped } = choose({
    routing,
    request,
    provider: parts.provider,
    benched,
    tried,
    checkpoint: within?.session.checkpoint ?? null,
    added: continuing(call.kept),
  });
  if (choice === null) {
    return refuse(op, call, {
      error: nobodyLeft(request.role, { skipped, benched, now: op.now }),
      last: true,
      routing,
      skipped,
    });
  }
  const budget = within === null ? [] : budgetCeilings(within.session);
  const held = await hold(op, call, { choice, budget, policy });
  if (held instanceof SeedError) {
    const others = routing.candidates.some(
      (candidate) => candidate !== choice.candidate && !tried.has(candidateKey(candidate)),
    );
    const last = routing.onCeiling === 'stop' || !others;
    if (!last && within !== null) await offerNext(op, within, { call: call.id, choice, why: held.code });
    if (call.input === null) op.receipt({ input: unkeptHash(call, parts.sources) });
    return refuse(op, call, { error: held, last, routing, refused: choice, skipped });
  }
  const input = call.input ?? (await begin(op, call, parts.sources));
  if (call.input === null && within !== null) await asker.turn?.begin(op, within.session, call.id);
  // It was on the drain's list until now.
  if (call.input !== null && call.attempts === 0) await updateCall(op, call.id, { status: 'running' });
  const hop = within?.hop ?? null;
  if (within !== null && hop !== null) await redeemHop(op, within.session, { hop, to: candidateKey(choice.candidate) });
  op.receipt({ outcome: 'intent', input, detail: intentDetail(call, { choice, routing, hold: held, hop }) });
  return { kind: 'go', choice, routing, hold: held, input, epoch: within?.session.epoch ?? null, skipped };
}

/**
 * Stands for what a ceiling refused (LOCK-RUNTIME-4). Neither the text nor its salt is kept: whoever asks again and
 * again must not fill the disk with it, and a hash that could be tried out would tell a short text.
 */
function unkeptHash({ asker, request }: CallFacts, sources: Sources): string {
  return contentHash(sources.random(SALT_BYTES), Buffer.from(asker.turn?.text ?? requestText(request)));
}

/** Whether work of the drain's list was cancelled after the drain had looked at the list. */
async function isTakenOff(op: Operation, { id, input, attempts }: CallFacts): Promise<boolean> {
  return input !== null && attempts === 0 && (await findCall(op, id))?.status !== 'queued';
}

function takenOff(): SeedError {
  return new SeedError('interrupted', CANCELLED_WHILE_QUEUED, {
    hint: 'Leave it for the drain again if it is wanted.',
  });
}

/** The role with the candidates that may answer this asker. */
function narrowed(routing: Routing, { only }: Asker): Routing {
  if (only === undefined) return routing;
  const candidates = routing.candidates.filter(
    ({ target, model }) => target.name === only.target && model === only.model,
  );
  return { ...routing, candidates };
}

/** The first attempt of a call brings the call's own row, and keeps what was asked. */
async function begin(op: Operation, { id, request, asker }: CallFacts, sources: Sources): Promise<string> {
  const { actor, idempotencyKey: key } = asker;
  // Looked up before it was admitted, too; only here nobody can come in between.
  if (key !== null && (await findCallByKey(op, actor.grant, key)) !== null) throw keyTaken();
  const eraseAt = op.now + CALL_CONTENT_MS;
  const text = asker.turn?.text ?? requestText(request);
  const input = await putContent(op, Buffer.from(text), { sources, eraseAt });
  await insertCall(op, {
    id,
    grant: asker.actor.grant,
    actor: asker.actor.id,
    role: request.role,
    session: request.session,
    status: 'running',
    idempotencyKey: asker.idempotencyKey,
    input,
    createdAt: op.now,
  });
  return input;
}

function keyTaken(): SeedError {
  return new SeedError('conflict', 'Another call came by that idempotency key at this very moment.', {
    hint: 'Ask again with the same key: it leads to that call.',
    data: { argument: 'idempotency_key' },
  });
}

/** Holds the money; the ceiling's refusal comes back as a value, and then nothing was written. */
async function hold(
  op: Operation,
  call: CallFacts,
  { choice, budget, policy }: { choice: Choice; budget: readonly Ceiling[]; policy: PolicySnapshot },
): Promise<Hold | SeedError> {
  const { request, asker } = call;
  const { candidate, bound } = choice;
  try {
    return await admit(op, {
      id: attemptId(call.id, call.attempts + 1),
      spender: {
        role: request.role,
        agent: await payerOf(op, asker.actor),
        session: request.session,
        labels: request.labels,
      },
      callSpentMicroUsd: call.costMicroUsd,
      bound,
      ceilings: [...ceilingsOf(policy), ...budget],
      timezone: timezoneOf(policy),
      target: candidate.target.name,
      model: candidate.model,
      priceVersion: candidate.price?.version ?? '',
    });
  } catch (thrown) {
    if (thrown instanceof SeedError && thrown.code === 'over_ceiling') return thrown;
    throw thrown;
  }
}

/** The session that a call is made in, and its hop that waits for the next model. */
interface Within {
  readonly session: Session;
  readonly hop: Hop | null;
}

/**
 * The session that a call is made for: whoever asks must hold it, at this moment, and may ask models in its
 * name; and while the call runs nobody else may have held it. A refusal comes back as a value.
 */
async function sessionOf(
  op: Operation,
  { id, request, asker, epoch, input }: CallFacts,
): Promise<Within | SeedError | null> {
  if (request.session === null) return null;
  try {
    const session =
      asker.turn !== undefined && input === null
        ? await asker.turn.find(op)
        : await heldSession(op, request.session, { actor: asker.actor, epoch });
    if (session.deadline !== null && op.now >= session.deadline) return deadlinePassed(session.id, session.deadline);
    const hop = await openHop(op, { session: session.id, call: id });
    if (session.scopes.includes('route.complete')) return { session, hop };
    return new SeedError('forbidden', 'Asking models was not handed over with that session.', {
      hint: 'Ask without the session, or ask whoever handed it over.',
      data: { session: session.id },
    });
  } catch (thrown) {
    if (thrown instanceof SeedError && thrown.kind === 'refused') return thrown;
    throw thrown;
  }
}

/** Work that is late is noted and handed on, but no model is paid for it any more. */
function deadlinePassed(session: string, deadline: number): SeedError {
  return new SeedError('deadline_passed', `The deadline of the session ${session} was ${isoTime(deadline)}.`, {
    hint: 'Say where it stands with session_checkpoint, or go on in a new session.',
    data: { session },
  });
}

/** A candidate cannot go on; whoever is next may. One that was refused before it began leaves an open hop open. */
async function offerNext(
  op: Operation,
  { session, hop }: Within,
  { call, choice, why }: { call: string; choice: Choice; why: string },
): Promise<void> {
  if (hop === null) await offerHop(op, session, { call, from: candidateKey(choice.candidate), why });
}

/** Attempts are numbered within their call, so that one range of the ledger holds them all. */
function attemptId(call: string, attempt: number): string {
  return `${call}.${String(attempt).padStart(3, '0')}`;
}

function refuse(op: Operation, call: CallFacts, refusal: Refusal & { readonly last: boolean }): Refused {
  const { error, last, refused = null, skipped = [] } = refusal;
  op.receipt({ outcome: 'refused', code: error.code, detail: refusalDetail(call, refusal) });
  return { kind: 'refused', last, error, refused, skipped };
}

function nothingGoesOut(): SeedError {
  return new SeedError('halted', 'The seed is halted: nothing goes out.', { hint: '`seed resume` ends the halt.' });
}

function policyChanged(): SeedError {
  return new SeedError('policy_changed', 'The policy was edited from outside just now.', {
    hint: 'Nothing is to be done: the edit is put on record, and the call goes on by it.',
  });
}

function noRoute(role: string): SeedError {
  return new SeedError('no_route', `Policy names no usable way for the role "${role}" here.`, {
    hint: 'Use a role that policy has for calls on demand, or ask the owner to run `seed policy explain`.',
    data: { role },
  });
}

/** Every candidate was asked or cannot be; the nearest time at which one that sits out may be asked again. */
function nobodyLeft(
  role: string,
  { skipped, benched, now }: { skipped: readonly AttemptView[]; benched: readonly Benched[]; now: number },
): SeedError {
  const waits = skipped
    .filter(({ code }) => code === 'benched')
    .flatMap(({ target }) => benched.filter((one) => one.target === target && one.untilMs !== null))
    .map(({ untilMs }) => Math.ceil(((untilMs ?? now) - now) / 1_000));
  const why = skipped.map(({ target, model, why: reason }) => `${target}/${model}: ${reason}`).join(' ');
  const code: ErrorCode = 'no_candidate';
  return new SeedError(code, `No model of the role "${role}" can be asked now. ${why}`.trim(), {
    hint: waits.length > 0 ? 'Try again when it may be asked again.' : 'Ask the owner to run `seed policy explain`.',
    data: { role, retry_after_s: waits.length > 0 ? Math.min(...waits) : null },
  });
}
