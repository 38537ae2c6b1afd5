/** What can be seen of memories, whoever asks and however: found, one by one, in order. */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import { contentHash } from '../content.ts';
import type { ReadHandle } from '../store/store.ts';
import type { MemoryRow } from './model.ts';
import { memoryId, noMemory, OWN_THREAD } from './model.ts';
import type { Filter } from './search.ts';
import { rank } from './search.ts';
import type { Reach } from './spaces.ts';
import { reachOf, scan, spaceNameOf } from './spaces.ts';

/** A memory as whoever may see it finds it. */
export interface Memory extends MemoryRow {
  readonly space: string;
}

export interface Found {
  readonly memory: Memory;
  /** Whether it has any of the words itself; otherwise what stands beside it does. */
  readonly matched: boolean;
}

export interface Search {
  readonly query: string;
  /** All that the actor may read, unless given. */
  readonly space?: string | undefined;
  readonly filter?: Filter;
  readonly limit: number;
  /** How many of the best are passed over. */
  readonly offset?: number;
}

/**
 * The memories that answer a question, the best first, and whether there are more.
 *
 * @throws SeedError `forbidden`
 */
export async function searchMemories(
  db: ReadHandle,
  actor: Actor,
  { query, space, filter = {}, limit, offset = 0 }: Search,
): Promise<{ readonly found: readonly Found[]; readonly more: boolean }> {
  const reach = await reachOf(db, actor, { verb: 'read', space: space ?? null });
  const ranked = await rank(db, reach, { query, filter });
  const found: Found[] = [];
  for (const { nr, matched } of ranked.slice(offset, offset + limit)) {
    const memory = await readOne(db, reach, nr);
    if (memory !== null) found.push({ memory, matched });
  }
  return { found, more: ranked.length > offset + limit };
}

/** What fits a topic, for whoever begins; nothing where the actor may read nothing. */
export async function recall(db: ReadHandle, actor: Actor, topic: string, limit: number): Promise<readonly Found[]> {
  return (await searchMemories(db, actor, { query: topic, limit })).found;
}

const ONE = 'SELECT * FROM substrate_memories m WHERE WITHIN(m.nr)';

async function readOne(
  db: ReadHandle,
  reach: Reach,
  nr: number,
  { forgotten = false }: { forgotten?: boolean } = {},
): Promise<Memory | null> {
  const [row] = await scan<MemoryRow>(db, reach, { sql: ONE, nr });
  if (row === undefined || (row.forgotten_at !== null && !forgotten)) return null;
  return { ...row, space: row.space ?? (await spaceNameOf(db, nr)) };
}

/**
 * One memory, compared with what its receipt stands for; what is forgotten only where that is asked for.
 *
 * @throws SeedError `not_found`, `store_corrupt` when the text was altered in the database
 */
export async function getMemory(
  db: ReadHandle,
  actor: Actor,
  nr: number,
  { forgotten = false }: { forgotten?: boolean } = {},
): Promise<Memory> {
  const found = await readOne(db, await reachOf(db, actor, { verb: 'read' }), nr, { forgotten });
  if (found === null) throw noMemory(memoryId(nr));
  if (contentHash(found.salt, Buffer.from(found.text)) === found.hash) return found;
  throw new SeedError('store_corrupt', 'The text is not the one that was written: it was altered in the database.', {
    hint: 'Restore the database from a backup, or forget this memory.',
    data: { memory: memoryId(nr) },
  });
}

const BEFORE = `SELECT * FROM substrate_memories m WHERE m.thread = ? AND m.place < ? AND m.place >= ?
  AND m.forgotten_at IS NULL AND WITHIN(m.nr) ORDER BY m.place DESC LIMIT 10`;
const AFTER = `SELECT * FROM substrate_memories m WHERE m.thread = ? AND m.place > ? AND m.place <= ?
  AND m.forgotten_at IS NULL AND WITHIN(m.nr) ORDER BY m.place LIMIT 10`;

/** What stands beside a memory in its thread, up to `count` places on either side, in order. */
export async function neighboursOf(
  db: ReadHandle,
  actor: Actor,
  { nr, thread, place, space }: Memory,
  count: number,
): Promise<{ readonly before: readonly Memory[]; readonly after: readonly Memory[] }> {
  if (count === 0) return { before: [], after: [] };
  const reach = (await reachOf(db, actor, { verb: 'read' })).of(nr);
  const read = async (sql: string, end: number): Promise<Memory[]> => {
    const rows = await scan<MemoryRow>(db, reach, { sql, params: [thread, place, end] });
    return rows.map((row) => ({ ...row, space }));
  };
  return { before: (await read(BEFORE, place - count)).toReversed(), after: await read(AFTER, place + count) };
}

const LIST = `SELECT * FROM substrate_memories m WHERE m.kind = coalesce(?, m.kind)
  AND m.subject = coalesce(?, m.subject) COLLATE NOCASE AND (m.forgotten_at IS NOT NULL) = ?`;

export interface Listing {
  readonly space?: string | undefined;
  readonly kind?: string | undefined;
  readonly subject?: string | undefined;
  /** What is forgotten and not yet erased, instead of the rest. */
  readonly forgotten?: boolean;
  readonly newestFirst?: boolean;
  /** Goes on beyond this row. */
  readonly beyond?: number | null;
  readonly limit: number;
}

/** Memories in the order of their rows: space by space, as they were written. */
export async function listMemories(
  db: ReadHandle,
  actor: Actor,
  { space, kind, subject, forgotten = false, newestFirst = false, beyond = null, limit }: Listing,
): Promise<readonly Memory[]> {
  const reach = await reachOf(db, actor, { verb: 'read', space: space ?? null });
  const past = newestFirst ? 'm.nr < ?' : 'm.nr > ?';
  const start = newestFirst ? Number.MAX_SAFE_INTEGER : -1;
  const rows = await scan<MemoryRow>(db, reach, {
    sql: `${LIST} AND ${past} AND WITHIN(m.nr) ORDER BY m.nr ${newestFirst ? 'DESC' : 'ASC'} LIMIT ${limit}`,
    params: [kind ?? null, subject ?? null, forgotten ? 1 : 0, beyond ?? start],
  });
  const inOrder = rows.sort((a, b) => (newestFirst ? b.nr - a.nr : a.nr - b.nr)).slice(0, limit);
  const memories: Memory[] = [];
  for (const row of inOrder) memories.push({ ...row, space: row.space ?? (await spaceNameOf(db, row.nr)) });
  return memories;
}

/** Memories with the names of their threads; null where it is no named one. */
export async function withThreads(
  db: ReadHandle,
  memories: readonly Memory[],
): Promise<readonly { readonly memory: Memory; readonly thread: string | null }[]> {
  const names = new Map<number, string | null>();
  for (const { thread } of memories) {
    if (names.has(thread)) continue;
    const row = await db.get<{ name: string }>('SELECT name FROM substrate_memory_threads WHERE id = ?', thread);
    names.set(thread, row === undefined || row.name.startsWith(OWN_THREAD) ? null : row.name);
  }
  return memories.map((memory) => ({ memory, thread: names.get(memory.thread) ?? null }));
}
