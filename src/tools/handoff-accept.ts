import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { usedMicroUsd } from '../substrate/sessions/budget.ts';
import { acceptLatest, acceptToken } from '../substrate/sessions/handover.ts';
import type { HandoffPackage } from '../substrate/sessions/package.ts';
import { listOpenTools } from '../substrate/sessions/messages.ts';
import { leaseUntil } from '../substrate/sessions/sessions.ts';
import { isoTime, newId } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { sayPackage } from './handoff-view.ts';
import { sayBudget, sayCalls, SessionId, viewTool } from './session-schema.ts';
import { lines } from './text.ts';

/** What a token is redeemed under where nothing else is said: the same redeemer asking again gets the same. */
const REDEEM_ID = 'token';
const OPEN_CALLS_MAX = 32;

const Output = z.object({
  handoff: z.string(),
  session_id: z.string(),
  epoch: z.int(),
  from: z.string(),
  package: z.record(z.string(), z.unknown()).describe('Goal, done, next, in doubt, last messages'),
  package_hash: z.string(),
  added_since: z.int().describe('Messages added after the offer'),
  hash: z.string().describe('Of the transcript, as it is now'),
  step_call: z.string().nullable(),
  open_calls: z.array(z.object({ call: z.string(), name: z.string(), key: z.string(), state: z.string() })),
  scopes: z.array(z.string()),
  budget_micro_usd: z.int().nullable(),
  used_micro_usd: z.int(),
  lease_until: z.string().nullable(),
  redeem_id: z.string(),
  repeated: z.boolean(),
  superseded: z.boolean().describe('It was yours, and has moved on'),
  receipt: z.int().nullable(),
});
type Output = z.infer<typeof Output>;

export const handoffAccept = defineTool({
  name: 'handoff_accept',
  title: 'Go on with another agent’s work',
  description:
    'Use when you were given a handoff token, or (latest) want to go on with what was offered to you by name or what a local agent left that is gone. The session is yours from then on.',
  scope: 'handoff.accept',
  surface: 'daily',
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({
    token: z.string().min(1).max(128).optional(),
    latest: z.boolean().optional(),
    session_id: SessionId.optional().describe('With latest: this one'),
    redeem_id: z.string().min(1).max(128).optional().describe('The same again gets the same answer'),
  }),
  output: Output,
  text: (view) =>
    lines(
      view.superseded
        ? `Session ${view.session_id} was yours at epoch ${view.epoch} and has moved on: stop working on it.`
        : `Session ${view.session_id} is yours, epoch ${view.epoch}, from ${view.from}; ${sayBudget(view)}.`,
      sayPackage(view.package as unknown as HandoffPackage),
      sayCalls(view.open_calls),
      view.added_since === 0 ? '' : `${view.added_since} messages were added after the offer: session_get.`,
      view.step_call === null ? '' : `A model is being asked (call ${view.step_call}): session_step adds its answer.`,
      `Note what you do with session_checkpoint.${view.receipt === null ? '' : ` Receipt ${view.receipt}.`}`,
    ),
  handler: async ({ token, latest = false, session_id: session, redeem_id: given }, { actor, daemon, substrate }) => {
    if ((token === undefined) === !latest) throw oneOfTheTwo();
    const redeemId = given ?? (token === undefined ? newId(substrate.sources) : REDEEM_ID);
    const accepted =
      token === undefined
        ? await acceptLatest(substrate, actor, { redeemId, session: session ?? null, goneSince: daemon.goneSince })
        : await acceptToken(substrate, actor, { token, redeemId });
    const { handoff, session: held, repeated, superseded, receipt } = accepted;
    const now = substrate.sources.now();
    const { tools, used, lease } = await substrate.read(async (db) => ({
      tools: superseded ? [] : await listOpenTools(db, held.id, OPEN_CALLS_MAX),
      used: await usedMicroUsd(db, held.id, now),
      lease: await leaseUntil(db, held.id),
    }));
    return {
      handoff: handoff.id,
      session_id: held.id,
      epoch: handoff.redeemedEpoch ?? held.epoch,
      from: handoff.offererName,
      package: { ...handoff.package },
      package_hash: handoff.packageHash,
      added_since: superseded ? 0 : held.length - handoff.package.transcript.messages,
      hash: held.runningHash,
      step_call: superseded ? null : held.stepCall,
      open_calls: tools.map(viewTool),
      scopes: [...held.scopes],
      budget_micro_usd: held.budgetMicroUsd,
      used_micro_usd: used,
      lease_until: superseded || lease === 0 ? null : isoTime(lease),
      redeem_id: redeemId,
      repeated,
      superseded,
      receipt,
    };
  },
});

function oneOfTheTwo(): SeedError {
  return new SeedError('invalid_input', 'Give either a token, or latest: true.', {
    hint: 'The token is what handoff_offer answered with; latest is for local agents.',
    data: { argument: 'token' },
  });
}
