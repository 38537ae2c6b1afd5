/** Erases content whose time has come, from the database and from its journal. */
import { FIRST_UNSHELVED } from './content.ts';
import type { ReadHandle, Row, Substrate } from './substrate.ts';

/** What of the substrate it needs. */
type Store = Pick<Substrate, 'read' | 'maintain' | 'scrub'>;

/** Pieces of content that one transaction erases. */
const ERASED_AT_ONCE_MAX = 500;

/** The number of the newest shelf (`0011-content.ts`), or none. */
const NEWEST_SHELF = 'SELECT max(id) >> 12 AS shelf FROM substrate_content';

/** Of one shelf: no piece of content is read for it. */
const DUE = 'SELECT id FROM substrate_content_shelves WHERE shelf = ? AND erase_at <= ? LIMIT ?';

/** Of the few that stand on no shelf yet. */
const DUE_UNSHELVED = `SELECT id FROM substrate_content WHERE id >= ${FIRST_UNSHELVED} AND erase_at <= ? LIMIT ?`;

interface IdRow extends Row {
  readonly id: number;
}

/** Erases all content that was due at `now`, shelf by shelf; resolves to how many pieces there were. */
export async function eraseDueContent(
  substrate: Store,
  now: number,
  atOnce: number = ERASED_AT_ONCE_MAX,
): Promise<number> {
  const newest = await substrate.read((db) => db.get<{ shelf: number | null }>(NEWEST_SHELF));
  let erased = await eraseDue(substrate, { now, atOnce }, (db) => db.all<IdRow>(DUE_UNSHELVED, now, atOnce));
  for (let shelf = 0; shelf <= (newest?.shelf ?? -1); shelf += 1) {
    erased += await eraseDue(substrate, { now, atOnce }, (db) => db.all<IdRow>(DUE, shelf, now, atOnce));
  }
  return erased;
}

/** Erases what `find` finds, `atOnce` at a time, until it finds no more, or nothing that is still due. */
async function eraseDue(
  substrate: Store,
  { now, atOnce }: { now: number; atOnce: number },
  find: (db: ReadHandle) => Promise<IdRow[]>,
): Promise<number> {
  let erased = 0;
  for (;;) {
    const due = await substrate.read(find);
    const gone = due.length === 0 ? 0 : await erase(substrate, due, now);
    erased += gone;
    if (gone === 0 || due.length < atOnce) return erased;
  }
}

async function erase(substrate: Store, due: readonly IdRow[], now: number): Promise<number> {
  const ids = JSON.stringify(due.map(({ id }) => id));
  const erased = await substrate.maintain((tx) =>
    // Looked at once more: it may be wanted for longer since.
    tx.run('DELETE FROM substrate_content WHERE erase_at <= ? AND id IN (SELECT value FROM json_each(?))', now, ids),
  );
  if (erased > 0) await substrate.scrub();
  return erased;
}
