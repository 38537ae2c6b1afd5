/**
 * Edits that came from outside: whoever opened the database with another program.
 *
 * Triggers recorded them in the editor's own transaction; what the daemon edits it marks as its own
 * in its operation. So what is unmarked came from outside, and gets its receipt before the next
 * decision by the policy.
 */
import type { Json } from '../../formats/canonical.ts';
import type { Actor } from '../actor.ts';
import { CONTENT_BYTES_MAX, putContent } from '../content.ts';
import type { Row } from '../store/store.ts';
import type { Operation, Substrate, SubstrateReader } from '../substrate.ts';

/** Of kind human, because whoever may open the database has the owner's user id, and no grant. */
const EXTERNAL: Actor = { id: 'external-sql', kind: 'human', grant: null, scopes: new Set() };

/** Changes that one round puts on record: one group of the writer, one fsync. */
const ROUND_MAX = 64;
/** Longer rows stand in the receipt's content instead of its detail. */
const DETAIL_CHARS_MAX = 1_000;

interface ChangeRow extends Row {
  readonly id: number;
  readonly at_ms: number;
  readonly source_table: string;
  readonly before: string | null;
  readonly after: string | null;
}

const UNNOTED = `SELECT id, at_ms, source_table, before, after FROM policy_change
  WHERE receipt IS NULL ORDER BY id LIMIT ?`;

/** One round at a time for each substrate; who comes meanwhile joins it, and looks again after it. */
const rounds = new WeakMap<Substrate, Promise<void>>();

/** The foreign version at which everything from outside had its receipt. */
const clean = new WeakMap<Substrate, number>();

/**
 * Leaves a receipt of each edit from outside that has none yet; costs next to nothing where nobody else
 * has committed since. To be called before a decision by the policy.
 */
export async function noteOutsideEdits(substrate: Substrate): Promise<void> {
  for (;;) {
    const version = substrate.foreignVersion();
    if (clean.get(substrate) === version) return;
    const changes = await substrate.read((db) => db.all<ChangeRow>(UNNOTED, ROUND_MAX));
    if (changes.length === 0) {
      clean.set(substrate, version);
      return;
    }
    let round = rounds.get(substrate);
    if (round === undefined) {
      round = noteAll(substrate, changes).finally(() => rounds.delete(substrate));
      rounds.set(substrate, round);
    }
    await round;
  }
}

/** As {@link noteOutsideEdits}, where this process may write; otherwise the daemon will. */
export async function noteEditsIfServing(substrate: Substrate | SubstrateReader): Promise<void> {
  if ('operate' in substrate && substrate.distrust === null) await noteOutsideEdits(substrate);
}

async function noteAll(substrate: Substrate, changes: readonly ChangeRow[]): Promise<void> {
  const action = 'policy.external_edit';
  const notes = changes.map((change) =>
    substrate.operate({ action, actor: EXTERNAL }, (op) => note(op, change, substrate)),
  );
  // All of them settle before the first failure is told: the next round must not meet them half done.
  const ended = await Promise.allSettled(notes);
  const failed = ended.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function note(op: Operation, change: ChangeRow, { sources }: Substrate): Promise<void> {
  const { id, at_ms: at, source_table: table } = change;
  const [before, after] = [change.before, change.after].map(withoutSecrets) as [string | null, string | null];
  const text = JSON.stringify({ before, after });
  const isShort = text.length <= DETAIL_CHARS_MAX;
  const body = Buffer.from(text);
  const keeps = !isShort && body.length <= CONTENT_BYTES_MAX;
  const detail: Record<string, Json> = {
    change: id,
    at,
    table: table.slice(0, 100),
    ...(isShort ? { before, after } : { bytes: body.length }),
  };
  op.receipt({
    subject: { type: 'policy_change', id: String(id) },
    detail,
    input: keeps ? await putContent(op, body, { sources }) : null,
  });
  await op.run('UPDATE policy_change SET receipt = ? WHERE id = ?', op.seq, id);
}

/** A name and password in an address, which do not belong there, must not get onto the record for good. */
function withoutSecrets(row: string | null): string | null {
  return row?.replace(/\/\/[^/"\s]*@/g, '//…@') ?? null;
}
