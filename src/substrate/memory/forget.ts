/**
 * Forgetting: hidden at once and out of the index, restored on the owner's word for a while, then erased.
 *
 * What is forgotten leaves the index with its words overwritten; its text stays in its row until it is
 * erased, and after that nowhere (see `Substrate.scrub`). The receipts stay.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import { SEED } from '../actor.ts';
import type { Row, Substrate } from '../substrate.ts';
import type { Operation, Receipted } from '../operation.ts';
import type { MemoryRow } from './model.ts';
import { FORGOTTEN_MS, memoryId, noMemory, SPACE_ROWS } from './model.ts';
import { findToChange, markSuperseded, putIntoIndex, takeFromIndex } from './write.ts';

const BATCH_ROWS = 100;

/** Hides a memory; resolves to when it is erased. @throws SeedError `not_found` */
export async function forget(substrate: Substrate, actor: Actor, nr: number): Promise<Receipted<number>> {
  return substrate.operate({ action: 'memory.forget', actor }, async (op) => {
    op.receipt({ subject: { type: 'memory', id: memoryId(nr) } });
    const memory = await findToChange(op, actor, nr);
    if (memory.forgotten_at !== null) throw noMemory(memoryId(nr));
    op.receipt({ input: memory.hash });
    await hide(op, memory);
    return op.now + FORGOTTEN_MS;
  });
}

async function hide(op: Operation, memory: MemoryRow): Promise<void> {
  await takeFromIndex(op, memory.nr);
  if (memory.supersedes !== null) await markSuperseded(op, memory.supersedes, null);
  await op.run('UPDATE substrate_memories SET forgotten_at = ? WHERE nr = ?', op.now, memory.nr);
}

/** Undoes a forgetting, as long as there is something left. @throws SeedError `not_found`, `conflict` */
export async function restore(substrate: Substrate, actor: Actor, nr: number): Promise<Receipted<void>> {
  return substrate.operate({ action: 'memory.restore', actor }, async (op) => {
    op.receipt({ subject: { type: 'memory', id: memoryId(nr) } });
    const memory = await findToChange(op, actor, nr);
    if (memory.forgotten_at === null) {
      throw new SeedError('conflict', `${memoryId(nr)} was not forgotten.`, { hint: 'There is nothing to restore.' });
    }
    op.receipt({ input: memory.hash });
    await op.run('UPDATE substrate_memories SET forgotten_at = NULL WHERE nr = ?', nr);
    await putIntoIndex(op, memory);
    // Where something else has taken that place since, it keeps it.
    await op.run(
      'UPDATE substrate_memories SET superseded_by = ? WHERE nr = ? AND superseded_by IS NULL',
      nr,
      memory.supersedes,
    );
  });
}

/** Erases one memory for good, forgotten or not; it is gone from the disk when this resolves. */
export async function eraseNow(substrate: Substrate, actor: Actor, nr: number): Promise<Receipted<void>> {
  const erased = await substrate.operate({ action: 'memory.erase', actor }, async (op) => {
    op.receipt({ subject: { type: 'memory', id: memoryId(nr) } });
    const memory = await findToChange(op, actor, nr);
    op.receipt({ input: memory.hash });
    if (memory.forgotten_at === null) await hide(op, memory);
    await eraseRow(op, memory);
  });
  await substrate.scrub();
  return erased;
}

async function eraseRow(
  op: Operation,
  { nr, thread, writer, text }: Pick<MemoryRow, 'nr' | 'thread' | 'text' | 'writer'>,
): Promise<void> {
  await op.run('DELETE FROM substrate_memories WHERE nr = ?', nr);
  // Its name was given with the memories in it.
  await op.run(
    `DELETE FROM substrate_memory_threads WHERE id = ?
      AND NOT EXISTS (SELECT 1 FROM substrate_memories WHERE thread = substrate_memory_threads.id)`,
    thread,
  );
  await op.run('UPDATE substrate_memory_spaces SET records = records - 1 WHERE id = ?', Math.floor(nr / SPACE_ROWS));
  await op.run(
    'UPDATE substrate_memory_writers SET records = records - 1, bytes = bytes - ? WHERE writer = ?',
    Buffer.byteLength(text),
    writer,
  );
}

interface DueRow extends Row {
  readonly nr: number;
  readonly thread: number;
  readonly writer: string;
  readonly text: string;
}

/** Erases what was forgotten long enough ago; resolves to how many memories that were. */
export async function eraseDue(substrate: Substrate): Promise<number> {
  const before = substrate.sources.now() - FORGOTTEN_MS;
  const due = 'SELECT nr, thread, writer, text FROM substrate_memories WHERE forgotten_at <= ? LIMIT ?';
  let total = 0;
  for (;;) {
    const waiting = await substrate.read((db) => db.all<DueRow>(due, before, 1));
    if (waiting.length === 0) break;
    const { value } = await substrate.operate({ action: 'memory.erase', actor: SEED }, async (op) => {
      const rows = await op.all<DueRow>(due, before, BATCH_ROWS);
      for (const row of rows) await eraseRow(op, row);
      op.receipt({ detail: { memories: rows.length } });
      return rows.length;
    });
    total += value;
  }
  if (total > 0) await substrate.scrub();
  return total;
}
