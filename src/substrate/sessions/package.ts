/**
 * The handoff package: what whoever goes on with a session needs, in one canonical, hashed document.
 *
 * It refers to the transcript by length and running hash and carries its last messages; the whole stays
 * in the session. So its size does not grow with the transcript.
 */
import { createHash } from 'node:crypto';
import type { Json } from '../../formats/canonical.ts';
import { canonicalize } from '../../formats/canonical.ts';
import type { ReadHandle } from '../store/store.ts';
import { importLosses } from './imports.ts';
import type { Checkpoint, Session, StoredMessage } from './model.ts';
import { listMessages, listOpenTools } from './messages.ts';

/** The last messages that a package carries, and the bytes that they may have together. */
const TAIL_MESSAGES = 6;
const TAIL_BYTES_MAX = 6_000;
const OPEN_TOOLS_MAX = 32;

const LIMITS = { bytesMax: 1024 * 1024, depthMax: 16 };

/** What is handed over. Money is whole micro-dollars, times are ms since the epoch. */
export interface HandoffPackage {
  readonly v: 1;
  readonly seed: string;
  readonly session: string;
  readonly epoch: number;
  readonly goal: string;
  readonly acceptance: readonly string[];
  readonly constraints: readonly string[];
  readonly plan: readonly string[];
  readonly done: readonly string[];
  readonly next: string;
  readonly open: readonly string[];
  readonly decisions: Checkpoint['decisions'];
  readonly artefacts: readonly string[];
  readonly memory: readonly string[];
  /** The transcript as it was: `messages` long, with this running hash; `tail` are its last ones, canonical texts. */
  readonly transcript: { readonly messages: number; readonly hash: string; readonly tail: readonly string[] };
  readonly tools: readonly {
    readonly call: string;
    readonly name: string;
    readonly key: string;
    readonly state: string;
  }[];
  readonly budget_micro_usd: number | null;
  readonly deadline: number | null;
  /** Who held it before, oldest first. */
  readonly lineage: readonly { readonly epoch: number; readonly holder: string }[];
  /** The log's newest checkpoint when the package was made. */
  readonly checkpoint: string;
  /** What could not be taken along, in words. */
  readonly losses: readonly string[];
  readonly note: string;
}

export interface PackageFacts {
  readonly seed: string;
  readonly checkpoint: string;
  readonly budgetMicroUsd: number | null;
  readonly lineage: HandoffPackage['lineage'];
  readonly note: string;
}

/** Makes the package of a session as it stands in this transaction. */
export async function makePackage(db: ReadHandle, session: Session, facts: PackageFacts): Promise<HandoffPackage> {
  const open = await listOpenTools(db, session.id, OPEN_TOOLS_MAX + 1);
  const tools = open.slice(0, OPEN_TOOLS_MAX);
  const from = Math.max(0, session.length - TAIL_MESSAGES);
  const last = await listMessages(db, session.id, { from, limit: TAIL_MESSAGES });
  const tail = fitting(last);
  const { goal, acceptance, constraints, plan, done, next, decisions, artefacts, memory } = session.checkpoint;
  return {
    v: 1,
    seed: facts.seed,
    session: session.id,
    epoch: session.epoch,
    goal,
    acceptance,
    constraints,
    plan,
    done,
    next,
    open: session.checkpoint.open,
    decisions,
    artefacts,
    memory,
    transcript: { messages: session.length, hash: session.runningHash, tail },
    tools: tools.map(({ call, name, idempotencyKey: key, state }) => ({ call, name, key, state })),
    budget_micro_usd: facts.budgetMicroUsd,
    deadline: session.deadline,
    lineage: facts.lineage,
    checkpoint: facts.checkpoint,
    losses: [
      ...(await importLosses(db, session.id)),
      ...(session.stepCall === null ? [] : [answerToCome(session.stepCall)]),
      ...lossOf(last.length - tail.length, 'of the last messages are too long for the package; session_get has them'),
      ...lossOf(open.length - tools.length, 'or more open tool calls are not listed; session_get has them'),
    ],
    note: facts.note,
  };
}

/** The newest messages that fit together, oldest first: a gap in between would read as if nothing had been there. */
function fitting(messages: readonly StoredMessage[]): string[] {
  const kept: string[] = [];
  let bytes = 0;
  for (const { body } of messages.toReversed()) {
    bytes += Buffer.byteLength(body);
    if (bytes > TAIL_BYTES_MAX) break;
    kept.unshift(body);
  }
  return kept;
}

function answerToCome(call: string): string {
  return `A model was being asked at that moment (call ${call}): session_step adds its answer once it is there.`;
}

function lossOf(count: number, what: string): string[] {
  return count === 0 ? [] : [`${count} ${what}.`];
}

/** The package's canonical text (RFC 8785). @throws FormatError over one mebibyte */
export function packageText(handoff: HandoffPackage): string {
  return canonicalize(handoff as unknown as Json, LIMITS);
}

/** SHA-256 of the canonical text, hex. */
export function packageHash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
