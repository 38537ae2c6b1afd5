/** Puts memories into spaces, within an operation, and takes them into the index. */
import { SeedError } from '../../errors.ts';
import { canonicalize } from '../../formats/canonical.ts';
import type { Actor } from '../actor.ts';
import { contentHash, SALT_BYTES } from '../content.ts';
import type { Sources } from '../sources.ts';
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { MemoryFacts, MemoryRow } from './model.ts';
import {
  APART,
  HELPER_BYTES_MAX,
  HELPER_MEMORIES_MAX,
  holderOf,
  memoryId,
  noMemory,
  OWN_THREAD,
  SPACE_MEMORIES_MAX,
  SPACE_ROWS,
  TEXT_BYTES_MAX,
  TOGETHER_MS,
} from './model.ts';
import { openSpace, reachOf, scan } from './spaces.ts';
import { dayWords, indexText } from './words.ts';

/** What is to be remembered. */
export interface Draft {
  readonly space: string;
  readonly text: string;
  readonly kind?: string | undefined;
  /** Who or what it is about, or who said it. */
  readonly subject?: string | undefined;
  /** When it happened, ms; now unless given. */
  readonly at?: number | undefined;
  /** Where it comes from, in the writer's words: a session, a message, a file. */
  readonly source?: string | undefined;
  /** What of one thread stands side by side tells of each other. */
  readonly thread?: string | undefined;
  /** The row of the memory that this one takes the place of. */
  readonly supersedes?: number | undefined;
  /** Within a writer the same key means the same memory. */
  readonly key?: string | undefined;
  /** The row that it was exported from, if that was here: the same memory there is this one. */
  readonly exportedAs?: number | undefined;
}

export interface Written {
  readonly nr: number;
  /** The receipt of its writing. */
  readonly receipt: number;
  /** It had been written before, under the same key. */
  readonly repeated: boolean;
}

/**
 * Keeps one memory.
 *
 * @throws SeedError `forbidden`, `too_large`, `memory_full`, `not_found` (what it supersedes), `conflict`,
 *   `content_erased`
 */
export async function keep(
  op: Operation,
  actor: Actor,
  draft: Draft,
  sources: Sources,
): Promise<Written & { readonly hash: string }> {
  const { id: space, nextNr, records, stored } = await openSpace(op, actor, draft.space);
  const before = (await findWritten(op, actor, draft)) ?? (await findExported(op, actor, draft));
  if (before !== null) return before;
  const body = Buffer.from(draft.text);
  assertFits(body.length, { records, space: draft.space });
  const nr = space * SPACE_ROWS + nextNr;
  const salt = sources.random(SALT_BYTES);
  const hash = contentHash(salt, body);
  const superseded = draft.supersedes === undefined ? null : await findSuperseded(op, actor, draft);
  const { thread, place } = await nextPlace(op, { space, name: draft.thread ?? null, writer: holderOf(actor) });
  const { kind = '', subject = '', at = op.now, source = '', key = null, text } = draft;
  await op.run(
    `INSERT INTO substrate_memories (nr, thread, place, at, written_at, receipt, supersedes, writer, writer_name,
       kind, subject, source, key, hash, salt, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    nr,
    thread,
    place,
    at,
    op.now,
    op.seq,
    superseded,
    holderOf(actor),
    actor.id,
    kind,
    subject,
    source,
    key,
    hash,
    salt,
    text,
  );
  await putIntoIndex(op, { nr, text, subject, at });
  if (superseded !== null) await markSuperseded(op, superseded, nr);
  await op.run(
    'UPDATE substrate_memory_spaces SET next_nr = next_nr + 1, records = records + 1 WHERE name = ?',
    stored,
  );
  await countWriter(op, actor, body.length);
  return { nr, receipt: op.seq, repeated: false, hash };
}

function assertFits(bytes: number, { records, space }: { records: number; space: string }): void {
  if (bytes > TEXT_BYTES_MAX) {
    throw new SeedError('too_large', `text: It has ${bytes} bytes; a memory has at most ${TEXT_BYTES_MAX}.`, {
      hint: 'Write several, with one thread, or keep it in a file and remember where it is.',
      data: { argument: 'text' },
    });
  }
  if (records < SPACE_MEMORIES_MAX) return;
  throw new SeedError('memory_full', `The space ${space} has ${SPACE_MEMORIES_MAX} memories, as many as it may.`, {
    hint: 'Forget some, or write into another space.',
    data: { argument: 'space' },
  });
}

interface UseRow extends Row {
  readonly records: number;
  readonly bytes: number;
}

/** Counts what a writer keeps, and refuses a helper what is more than its share. */
async function countWriter(op: Operation, actor: Actor, bytes: number): Promise<void> {
  const writer = holderOf(actor);
  await op.run(
    `INSERT INTO substrate_memory_writers (writer, records, bytes) VALUES (?, 1, ?)
     ON CONFLICT (writer) DO UPDATE SET records = records + 1, bytes = bytes + excluded.bytes`,
    writer,
    bytes,
  );
  if (actor.kind !== 'helper') return;
  const use = await op.get<UseRow>('SELECT records, bytes FROM substrate_memory_writers WHERE writer = ?', writer);
  if ((use?.records ?? 0) <= HELPER_MEMORIES_MAX && (use?.bytes ?? 0) <= HELPER_BYTES_MAX) return;
  throw new SeedError(
    'memory_full',
    `A helper keeps at most ${HELPER_MEMORIES_MAX} memories and ${HELPER_BYTES_MAX} bytes; this would be more.`,
    { hint: 'Forget some of yours, or ask the owner.', data: { argument: 'text' } },
  );
}

interface ThreadRow extends Row {
  readonly id: number;
  readonly next_place: number;
  readonly written_at: number;
}

/**
 * The next place in a thread. Without a name it is the writer's own thread in that space, where a pause
 * leaves room, so that what was written on another day is no neighbour.
 */
async function nextPlace(
  op: Operation,
  { space, name, writer }: { space: number; name: string | null; writer: string },
): Promise<{ thread: number; place: number }> {
  const called = name ?? `${OWN_THREAD}${writer}`;
  const find = () =>
    op.get<ThreadRow>(
      'SELECT id, next_place, written_at FROM substrate_memory_threads WHERE space = ? AND name = ?',
      space,
      called,
    );
  let found = await find();
  if (found === undefined) {
    await op.run(
      'INSERT INTO substrate_memory_threads (space, name, next_place, written_at) VALUES (?, ?, 0, ?)',
      space,
      called,
      op.now,
    );
    found = await find();
  }
  if (found === undefined) throw new Error('A thread that was just made is not there.');
  const apart = name === null && op.now - found.written_at > TOGETHER_MS;
  const place = found.next_place + (apart ? APART : 0);
  await op.run(
    'UPDATE substrate_memory_threads SET next_place = ?, written_at = ? WHERE id = ?',
    place + 1,
    op.now,
    found.id,
  );
  return { thread: found.id, place };
}

/** The memory that a draft was exported from, where it still stands in that space as it was. */
async function findExported(
  op: Operation,
  actor: Actor,
  { space, exportedAs: nr, text, kind = '', subject = '', at }: Draft,
): Promise<(Written & { readonly hash: string }) | null> {
  if (nr === undefined) return null;
  const reach = await reachOf(op, actor, { verb: 'write', space });
  const [row] = await scan<Pick<MemoryRow, 'receipt' | 'hash' | 'text' | 'kind' | 'subject' | 'at'>>(op, reach, {
    sql: `SELECT receipt, hash, text, kind, subject, at FROM substrate_memories
          WHERE forgotten_at IS NULL AND WITHIN(nr)`,
    nr,
  });
  const isSame =
    row !== undefined && row.text === text && row.kind === kind && row.subject === subject && row.at === at;
  return isSame ? { nr, receipt: row.receipt, repeated: true, hash: row.hash } : null;
}

/** What a memory takes the place of: one that can be changed, in the same space. */
async function findSuperseded(op: Operation, actor: Actor, { space, supersedes: nr = 0 }: Draft): Promise<number> {
  const reach = await reachOf(op, actor, { verb: 'write', space });
  const [found] = await scan<MemoryFacts>(op, reach, {
    sql: 'SELECT nr, superseded_by FROM substrate_memories WHERE forgotten_at IS NULL AND WITHIN(nr)',
    nr,
  });
  if (found === undefined) {
    throw new SeedError('not_found', `There is no memory ${memoryId(nr)} in the space ${space} to take the place of.`, {
      hint: 'Name one of the same space, as memory_search shows it.',
      data: { argument: 'supersedes' },
    });
  }
  if (found.superseded_by === null) return nr;
  throw new SeedError('conflict', `${memoryId(nr)} was superseded already, by ${memoryId(found.superseded_by)}.`, {
    hint: `Supersede ${memoryId(found.superseded_by)} instead.`,
    data: { argument: 'supersedes', by: memoryId(found.superseded_by) },
  });
}

/** Says of a memory what took its place; null where nothing does any more. */
export async function markSuperseded(tx: WriteHandle, nr: number, by: number | null): Promise<void> {
  await tx.run('UPDATE substrate_memories SET superseded_by = ? WHERE nr = ?', by, nr);
}

export async function putIntoIndex(
  tx: WriteHandle,
  { nr, text, subject, at }: Pick<MemoryRow, 'nr' | 'text' | 'subject' | 'at'>,
): Promise<void> {
  await tx.run(
    'INSERT INTO substrate_memory_index (rowid, text, subject, day) VALUES (?, ?, ?, ?)',
    nr,
    indexText(text),
    indexText(subject),
    dayWords(at),
  );
}

export async function takeFromIndex(tx: WriteHandle, nr: number): Promise<void> {
  await tx.run('DELETE FROM substrate_memory_index WHERE rowid = ?', nr);
}

interface KeyRow extends Row {
  readonly nr: number;
  readonly receipt: number;
  readonly forgotten_at: number | null;
  readonly kind: string;
  readonly subject: string;
  readonly source: string;
  readonly supersedes: number | null;
  readonly at: number;
  readonly written_at: number;
  readonly hash: string;
  readonly text: string;
}

/**
 * What was written under the draft's key before; null when nothing was.
 *
 * @throws SeedError `conflict` where it was something else, `content_erased` where it was forgotten
 */
export async function findWritten(
  db: ReadHandle,
  actor: Actor,
  draft: Draft,
): Promise<(Written & { readonly hash: string }) | null> {
  const { key = null } = draft;
  if (key === null) return null;
  const row = await db.get<KeyRow>(
    `SELECT nr, receipt, forgotten_at, kind, subject, source, supersedes, at, written_at, hash, text
     FROM substrate_memories WHERE writer = ? AND key = ?`,
    holderOf(actor),
    key,
  );
  if (row === undefined) return null;
  const reach = await reachOf(db, actor, { verb: 'write', space: draft.space });
  const same = reach.ranges(row.nr).length > 0 && essenceOf(row) === essenceOf(saidIn(draft, row.at));
  if (!same) {
    throw new SeedError('conflict', 'You wrote something else under this idempotency_key before.', {
      hint: `Receipt ${row.receipt} tells of it; use another key for another memory.`,
      data: { argument: 'idempotency_key', written: row.receipt },
    });
  }
  if (row.forgotten_at === null) return { nr: row.nr, receipt: row.receipt, repeated: true, hash: row.hash };
  throw new SeedError('content_erased', 'What was written under this idempotency_key was forgotten since.', {
    hint: 'Use another key to write it anew.',
    data: { argument: 'idempotency_key', written: row.receipt },
  });
}

/** What makes two writings the same besides their key and space. */
interface Essence {
  readonly text: string;
  readonly kind: string;
  readonly subject: string;
  readonly source: string;
  readonly supersedes: number | null;
  readonly at: number;
}

function essenceOf({ text, kind, subject, source, supersedes, at }: Essence): string {
  return canonicalize({ text, kind, subject, source, supersedes, at });
}

/** What a draft says; a time that it does not say is that of what was written before. */
function saidIn({ text, kind = '', subject = '', source = '', supersedes = null, at }: Said, before: number): Essence {
  return { text, kind, subject, source, supersedes, at: at ?? before };
}

type Said = Omit<Draft, 'supersedes'> & { readonly supersedes?: number | null | undefined };

/** Rows of the memories that may be changed. */
export async function findToChange(
  db: ReadHandle,
  actor: Actor,
  nr: number,
): Promise<MemoryRow & { readonly space: string | null }> {
  const reach = await reachOf(db, actor, { verb: 'write' });
  const [found] = await scan<MemoryRow>(db, reach, { sql: 'SELECT * FROM substrate_memories WHERE WITHIN(nr)', nr });
  if (found === undefined) throw noMemory(memoryId(nr));
  return found;
}
