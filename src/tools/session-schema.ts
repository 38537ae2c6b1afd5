/** Sessions as tools take and show them. */
import * as z from 'zod';
import type { Hop } from '../substrate/sessions/hops.ts';
import type { Checkpoint, Session, StoredMessage, ToolState } from '../substrate/sessions/model.ts';
import { CheckpointInput } from '../substrate/sessions/model.ts';
import { dollars } from '../substrate/ledger/money.ts';
import { isoTime } from '../substrate/sources.ts';
import type { Message, Part } from '../substrate/transcript.ts';
import { acceptPart } from './plain-words.ts';
import { lines } from './text.ts';

export const SessionId = z.string().regex(/^[0-9a-f]{32}$/, 'the whole id of a session, 32 hex digits');
export const HandoffId = z.string().regex(/^[0-9a-f]{32}$/, 'an id as handoff_offer gave it');
export const Epoch = z.int().min(1).optional().describe('Refused if somebody else held it since');
export const Micro = z.int().min(0).max(1_000_000_000_000);

const Lines = z.array(z.string().min(1).max(2_000)).max(100).optional();

/** What a checkpoint says, for daily use; what is left out stays as it was. */
export const CHECKPOINT_FIELDS = {
  goal: z.string().min(1).max(4_000).optional().describe('What was asked'),
  done: Lines,
  next: z.string().max(2_000).optional(),
  open: Lines.describe('Open questions'),
  constraints: Lines.describe('Handed on word for word'),
  more: z
    .record(z.string().max(20), z.array(z.unknown()).max(100))
    .optional()
    .describe('Lists: plan, acceptance, artefacts, memory (spaces in use), decisions [{what, why}]'),
};

/** Spelled out in each list of tools, they would cost more than they are worth; they are parsed all the same. */
const More = CheckpointInput.pick({ plan: true, acceptance: true, artefacts: true, memory: true, decisions: true });

export interface CheckpointArguments extends Pick<CheckpointInput, 'goal' | 'done' | 'next' | 'open' | 'constraints'> {
  readonly more?: Readonly<Record<string, readonly unknown[]>> | undefined;
}

/** The checkpoint among a tool's arguments. @throws SeedError `invalid_input` */
export function checkpointOf({ more = {}, ...input }: CheckpointArguments): CheckpointInput {
  const { goal, done, next, open, constraints } = input;
  const hint = 'more takes plan, acceptance, artefacts, memory and decisions, each a list.';
  return { goal, done, next, open, constraints, ...acceptPart(More, more, { at: 'more', hint }) };
}

const OpenCall = z.object({ call: z.string(), name: z.string(), key: z.string(), state: z.string() });

/** A session without its messages. */
export const SessionView = z.object({
  session_id: z.string(),
  holder: z.string(),
  epoch: z.int(),
  status: z.string(),
  origin: z.string(),
  checkpoint: z.record(z.string(), z.unknown()),
  messages: z.int(),
  hash: z.string(),
  scopes: z.array(z.string()),
  budget_micro_usd: z.int().nullable(),
  reserve_micro_usd: z.int(),
  used_micro_usd: z.int(),
  deadline: z.string().nullable(),
  step_call: z.string().nullable(),
  open_calls: z.array(OpenCall),
  changed: z.string(),
});
export type SessionView = z.infer<typeof SessionView>;

export interface SessionFacts {
  readonly session: Session;
  readonly tools: readonly ToolState[];
  readonly usedMicroUsd: number;
}

export function viewSession({ session, tools, usedMicroUsd }: SessionFacts): SessionView {
  const { id, holderName, epoch, status, origin, checkpoint, deadline, changedAt } = session;
  return {
    session_id: id,
    holder: holderName,
    epoch,
    status,
    origin,
    checkpoint: said(checkpoint),
    messages: session.length,
    hash: session.runningHash,
    scopes: [...session.scopes],
    budget_micro_usd: session.budgetMicroUsd,
    reserve_micro_usd: session.reserveMicroUsd,
    used_micro_usd: usedMicroUsd,
    deadline: deadline === null ? null : isoTime(deadline),
    step_call: session.stepCall,
    open_calls: tools.map(viewTool),
    changed: isoTime(changedAt),
  };
}

export function viewTool({ call, name, idempotencyKey: key, state }: ToolState): z.infer<typeof OpenCall> {
  return { call, name, key, state };
}

/** A model that could not go on, who did, and the receipts of both. */
export const HopView = z.object({
  from: z.string(),
  to: z.string().nullable(),
  why: z.string(),
  receipts: z.array(z.int()),
  hash: z.string(),
  hash_after: z.string().nullable(),
});
export type HopView = z.infer<typeof HopView>;

export function viewHop({ from, to, why, offered, redeemed, hash, hashAfter }: Hop): HopView {
  const receipts = redeemed === null ? [offered] : [offered, redeemed];
  return { from, to, why, receipts, hash, hash_after: hashAfter };
}

export function sayHop({ from, to, why, receipts }: HopView): string {
  const then = to === null ? 'and nobody went on' : `and ${to} went on`;
  return `${from} could not go on (${why}), ${then}: receipt ${receipts.join(', ')}.`;
}

/** What a checkpoint does say. */
function said(checkpoint: Checkpoint): Record<string, unknown> {
  return Object.fromEntries(Object.entries(checkpoint).filter(([, value]) => (value as string | unknown[]).length > 0));
}

/** Where the work stands, in words; the same words for a session and a handoff package. */
export function sayCheckpoint(checkpoint: Partial<Checkpoint>): string {
  const { goal = '', acceptance, constraints, plan, done, next = '', open, decisions, artefacts, memory } = checkpoint;
  return lines(
    goal === '' ? 'Asked: nobody said what for.' : `Asked: ${goal}`,
    list('Accepted when', acceptance),
    list('Must hold, word for word', constraints),
    list('Plan', plan),
    list('Done', done),
    list(
      'Decided',
      decisions?.map(({ what, why }) => `${what} (because ${why})`),
    ),
    list('Made', artefacts),
    memory === undefined || memory.length === 0 ? '' : `Memory spaces: ${memory.join(', ')}`,
    list('Open', open),
    next === '' ? '' : `Next: ${next}`,
  );
}

export function list(heading: string, items: readonly string[] | undefined): string {
  if (items === undefined || items.length === 0) return '';
  return [`${heading}:`, ...items.map((item) => `- ${item}`)].join('\n');
}

/** A part in few words. */
function sayPart(part: Part, unitsMax: number): string {
  if (part.type === 'text') return clip(part.text, unitsMax);
  if (part.type === 'image') return `[image, ${part.media_type}]`;
  if (part.type === 'tool_call') return `[calls ${part.name}, ${part.id}: ${clip(part.arguments, unitsMax)}]`;
  if (part.type === 'opaque') return `[kept for ${part.provider}/${part.model}]`;
  const inner = part.content.map((content) => sayPart(content, unitsMax)).join(' ');
  return `[result of ${part.call}${part.status === 'ok' ? '' : ', an error'}: ${inner}]`;
}

function clip(text: string, unitsMax: number): string {
  return text.length <= unitsMax ? text : `${text.slice(0, unitsMax).toWellFormed()}…`;
}

/** A message in few words. */
export function sayMessage({ role, parts }: Message, unitsMax: number): string {
  return `${role}: ${parts.map((part) => sayPart(part, unitsMax)).join(' ')}`;
}

/** A kept message; it was written by `messageText`. */
export function openMessage({ body }: Pick<StoredMessage, 'body'>): Message {
  return JSON.parse(body) as Message;
}

/** What is left of a budget, in words. */
export function sayBudget({
  budget_micro_usd: budget,
  used_micro_usd: used,
}: Pick<SessionView, 'budget_micro_usd' | 'used_micro_usd'>): string {
  if (budget === null) return `${dollars(used)} spent, no budget of its own`;
  return `${dollars(Math.max(0, budget - used))} of ${dollars(budget)} left`;
}

export function sayCalls(calls: readonly z.infer<typeof OpenCall>[]): string {
  const doubted = calls.filter(({ state }) => state === 'in_doubt');
  const waiting = calls.filter(({ state }) => state !== 'in_doubt');
  const say = ({ call, name, key }: z.infer<typeof OpenCall>): string => `${name}, call ${call}, key ${key}`;
  return lines(
    list('In doubt; it may or may not have happened, so look or ask before you do it again', doubted.map(say)),
    list('Called and not answered yet', waiting.map(say)),
  );
}
