/**
 * The drain's list: work that waits for tier 1. Whoever put it there need not stay; the drain takes it up one
 * after the other, each as its asker is by then.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../../substrate/actor.ts';
import { OWNER, SEED } from '../../substrate/actor.ts';
import type { StoredCall } from '../../substrate/calls.ts';
import { countQueued, findCall, findCallByKey, insertCall, listQueued } from '../../substrate/calls.ts';
import { getContent, putContent } from '../../substrate/content.ts';
import { findGrant } from '../../substrate/identity/grants.ts';
import { resolveRouting } from '../../substrate/policy/policy.ts';
import { newTimedId } from '../../substrate/sources.ts';
import type { ReadHandle, Substrate } from '../../substrate/substrate.ts';
import { CALL_CONTENT_MS, CANCELLED_WHILE_QUEUED } from './admission.ts';
import type { RunningCall, RunningCallOptions } from './call.ts';
import type { Dispatch } from './dispatch.ts';
import type { CallOutcome } from './outcome.ts';
import { RUNNING } from './outcome.ts';
import type { Asker, CompletionRequest } from './request.ts';
import { parseRequestText, requestText } from './request.ts';
import { closeCall } from './settlement.ts';
import type { CallReport } from './stored.ts';
import { assertSameStored, reportEnd } from './stored.ts';

/** Calls that may wait: in all, and of one grant. */
const QUEUED_MAX = 1_000;
const QUEUED_OF_GRANT_MAX = 100;

export interface DrainOptions {
  /** Calls to take up, at most. */
  readonly limit: number;
  readonly signal: AbortSignal;
  /** Told after each call how many are done. */
  readonly onCall: (done: number) => void;
}

export class DrainList {
  readonly #substrate: Substrate;
  readonly #run: (call: RunningCallOptions) => RunningCall;
  /** Resolves when the drain that came last is over. */
  #drains: Promise<void> = Promise.resolve();

  /** `run` begins a call of the list. */
  constructor(substrate: Substrate, run: (call: RunningCallOptions) => RunningCall) {
    this.#substrate = substrate;
    this.#run = run;
  }

  /**
   * Puts work on the list that the drain takes up.
   *
   * The same key again answers with the call that it belongs to.
   *
   * @throws SeedError `no_route` for a role that the drain cannot serve, `busy` when the list is full,
   *   `conflict` when the key belongs to another request
   */
  async enqueue(request: CompletionRequest, asker: Asker): Promise<{ id: string; receipt: number; waiting: number }> {
    const { sources } = this.#substrate;
    const id = newTimedId(sources);
    const { actor } = asker;
    const { value, seq } = await this.#substrate.operate({ action: 'route.enqueue', actor }, async (op) => {
      const { total, own } = await countQueued(op, actor.grant);
      const before = await queuedBefore(op, request, asker);
      if (before !== null) {
        op.receipt({ subject: { type: 'call', id: before.id }, input: before.input, detail: { role: request.role } });
        return { id: before.id, waiting: total };
      }
      if (total >= QUEUED_MAX || own >= QUEUED_OF_GRANT_MAX) throw queueFull(own);
      if ((await resolveRouting(op, request.role, 'cron')) === null) throw notForTheDrain(request.role);
      const body = Buffer.from(requestText(request));
      const input = await putContent(op, body, { sources, eraseAt: op.now + CALL_CONTENT_MS });
      const row = { id, grant: actor.grant, actor: actor.id, role: request.role, session: request.session };
      await insertCall(op, {
        ...row,
        status: 'queued',
        idempotencyKey: asker.idempotencyKey,
        input,
        createdAt: op.now,
      });
      op.receipt({ subject: { type: 'call', id }, input, detail: { role: request.role } });
      return { id, waiting: total + 1 };
    });
    return { ...value, receipt: seq };
  }

  /** Takes work off the list, which the drain may have taken up meanwhile; resolves to the call as it stands then. */
  async withdraw({ id, input }: StoredCall, actor: Actor): Promise<StoredCall | null> {
    const action = 'route.cancel';
    const { value } = await this.#substrate.operate({ action, actor }, async (op) => {
      op.receipt({ subject: { type: 'call', id }, input });
      const stored = await findCall(op, id);
      if (stored?.status !== 'queued') return stored;
      const outcome: CallOutcome = {
        ...RUNNING,
        status: 'refused',
        code: 'interrupted',
        message: CANCELLED_WHILE_QUEUED,
      };
      await closeCall(op, id, outcome, null);
      return findCall(op, id);
    });
    return value;
  }

  /**
   * Takes up what waits, one after the other; for the drain alone, which holds the dispatch. Drains come
   * one after the other too: what one has done the next no longer finds on the list.
   */
  async drain(dispatch: Dispatch, options: DrainOptions): Promise<CallReport[]> {
    const before = this.#drains;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drains = promise;
    await before;
    try {
      return await this.#drainAll(dispatch, options);
    } finally {
      resolve();
    }
  }

  async #drainAll(dispatch: Dispatch, { limit, signal, onCall }: DrainOptions): Promise<CallReport[]> {
    const waiting = await this.#substrate.read((db) => listQueued(db, limit));
    const reports: CallReport[] = [];
    for (const stored of waiting) {
      if (signal.aborted) break;
      reports.push(await this.#drainOne(stored, dispatch));
      onCall(reports.length);
    }
    return reports;
  }

  async #drainOne(stored: StoredCall, dispatch: Dispatch): Promise<CallReport> {
    const { actor, text } = await this.#substrate.read(async (db) => ({
      actor: await actorOf(db, stored),
      text: await getContent(db, stored.input),
    }));
    if (actor === null) return this.#drop(stored, 'key_revoked');
    if (text === null) return this.#drop(stored, 'content_erased');
    const request = parseRequestText(Buffer.from(text).toString());
    // Its key belongs to the row that is there already.
    const asker = { actor, dispatch, idempotencyKey: null, traceparent: null };
    const { done } = this.#run({ id: stored.id, request, asker, input: stored.input });
    return reportEnd(stored.id, await done);
  }

  /** Takes from the list what can no longer be asked. */
  async #drop({ id, input }: StoredCall, code: 'key_revoked' | 'content_erased'): Promise<CallReport> {
    const message =
      code === 'key_revoked' ? 'The access key that asked for it was removed.' : 'What was asked has been erased.';
    const { value } = await this.#substrate.operate({ action: 'route.attempt', actor: SEED }, async (op) => {
      const outcome: CallOutcome = { ...RUNNING, status: 'refused', code, message, receipt: op.seq };
      op.receipt({ outcome: 'refused', code, subject: { type: 'call', id }, input });
      await closeCall(op, id, outcome, null);
      return outcome;
    });
    return reportEnd(id, { outcome: value, message: null });
  }
}

/** The call that the same key belongs to; null where there is none yet. @throws SeedError `conflict`, `content_erased` */
async function queuedBefore(
  db: ReadHandle,
  request: CompletionRequest,
  { actor, idempotencyKey }: Asker,
): Promise<StoredCall | null> {
  const stored = idempotencyKey === null ? null : await findCallByKey(db, actor.grant, idempotencyKey);
  if (stored !== null) await assertSameStored(db, stored, request);
  return stored;
}

/** Whoever put a call on the list, as of now; null when the grant is gone. */
async function actorOf(db: ReadHandle, { grant: id }: StoredCall): Promise<Actor | null> {
  if (id === null) return OWNER;
  const grant = await findGrant(db, id);
  return grant === null ? null : { id: grant.name, kind: grant.kind, grant: id, scopes: new Set(grant.scopes) };
}

function queueFull(own: number): SeedError {
  return new SeedError('busy', `The list for the drain is full (${own} of them are yours); nothing was added.`, {
    hint: 'Wait until the drain has run, or ask the owner to run `seed route drain`.',
  });
}

function notForTheDrain(role: string): SeedError {
  return new SeedError('no_route', `Policy has no usable way for the role "${role}" in the drain.`, {
    hint: 'Ask the owner to run `seed policy explain` with --dispatch cron.',
    data: { role },
  });
}
