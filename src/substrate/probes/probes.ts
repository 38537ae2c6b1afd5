/**
 * The rows of probes. They are added and removed by operations, with the subsystem that they watch; what a
 * look at one found is upkeep, as the completions themselves are (`coherence/completions.ts`).
 */
import { SeedError } from '../../errors.ts';
import { addCompletions } from '../coherence/completions.ts';
import { registerProbed, unregisterProbed } from '../coherence/subsystems.ts';
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { Probe, ProbeReason, ProbeRow } from './model.ts';
import { PROBES_MAX, ProbeSpec } from './model.ts';

const COLUMNS = 'name, kind, place, spec, every_ms, added_at, cursor, looked_at, problem, says, problem_since';

function fromRow(row: ProbeRow): Probe {
  const { name, kind, place, cursor, problem, says, problem_since: since } = row;
  return {
    name,
    kind,
    place,
    cursor,
    spec: ProbeSpec.parse(JSON.parse(row.spec)),
    everyMs: row.every_ms,
    addedAt: row.added_at,
    lookedAt: row.looked_at,
    problem: problem === null ? null : { reason: problem, says: says ?? '', since: since ?? 0 },
  };
}

/** All probes, by name. */
export async function listProbes(db: ReadHandle): Promise<Probe[]> {
  const rows = await db.all<ProbeRow>(`SELECT ${COLUMNS} FROM substrate_probes ORDER BY name LIMIT ?`, PROBES_MAX);
  return rows.map(fromRow);
}

export async function findProbe(db: ReadHandle, name: string): Promise<Probe | null> {
  const row = await db.get<ProbeRow>(`SELECT ${COLUMNS} FROM substrate_probes WHERE name = ?`, name);
  return row === undefined ? null : fromRow(row);
}

export type ProbeDraft = Pick<Probe, 'name' | 'kind' | 'place' | 'spec' | 'everyMs'>;

/** Whether a probe looks at the very same thing. */
export function isSamePlace(one: ProbeDraft, other: ProbeDraft): boolean {
  const key = ({ kind, place, spec: { field, table, column } }: ProbeDraft): string =>
    JSON.stringify([kind, place, field, table, column]);
  return key(one) === key(other);
}

/**
 * Adds a probe, or tells one that is there how often to look and whether its work is finished.
 *
 * @throws SeedError `conflict` where one of that name looks elsewhere, `too_many`
 */
export async function saveProbe(op: Operation, draft: ProbeDraft, { finished }: { finished: boolean }): Promise<void> {
  const { name, kind, place, spec, everyMs } = draft;
  const known = await findProbe(op, name);
  if (known !== null && !isSamePlace(known, draft)) {
    throw new SeedError('conflict', `There is a probe "${name}" already, of ${known.place}.`, {
      hint: `Choose another name, or remove that one first: \`seed probe remove ${name}\`.`,
      data: { argument: 'name' },
    });
  }
  if (known === null) await assertRoom(op);
  await op.run(
    `INSERT INTO substrate_probes (name, kind, place, spec, every_ms, added_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET every_ms = excluded.every_ms`,
    name,
    kind,
    place,
    JSON.stringify(spec),
    everyMs,
    op.now,
  );
  await registerProbed(op, { name, finished });
}

interface CountRow extends Row {
  readonly count: number;
}

async function assertRoom(op: Operation): Promise<void> {
  const { count } = (await op.get<CountRow>('SELECT count(*) AS count FROM substrate_probes')) ?? { count: 0 };
  if (count < PROBES_MAX) return;
  throw new SeedError('too_many', `There are ${PROBES_MAX} probes; that is the limit.`, {
    hint: 'Remove those that nobody needs.',
  });
}

/** Removes a probe with what it saw. @throws SeedError `not_found` */
export async function removeProbe(op: Operation, name: string): Promise<void> {
  const removed = await op.run('DELETE FROM substrate_probes WHERE name = ?', name);
  if (removed === 0) {
    throw new SeedError('not_found', `There is no probe "${name}".`, {
      hint: '`seed probe list` shows them.',
      data: { argument: 'name' },
    });
  }
  await unregisterProbed(op, name);
}

/** What one look came to. */
export interface Looked {
  readonly at: number;
  /** ms since the epoch. */
  readonly times: readonly number[];
  readonly cursor: string | null;
  /** Where it could not be read; `times` is empty then, and the cursor as it was. */
  readonly problem: { readonly reason: ProbeReason; readonly says: string } | null;
}

/**
 * Keeps what a look found, with how far it has read, in one commit.
 * @returns how many completions are new; null where the probe was removed since
 */
export async function keepLook(
  tx: WriteHandle,
  { name, kind, addedAt }: Pick<Probe, 'name' | 'kind' | 'addedAt'>,
  { at, times, cursor, problem }: Looked,
): Promise<number | null> {
  const changed = await tx.run(
    `UPDATE substrate_probes SET cursor = ?, looked_at = ?, says = ?,
       problem_since = CASE WHEN ? IS NULL THEN NULL WHEN problem IS ? THEN problem_since ELSE ? END, problem = ?
     WHERE name = ? AND added_at = ?`,
    cursor,
    at,
    problem?.says ?? null,
    problem?.reason ?? null,
    problem?.reason ?? null,
    at,
    problem?.reason ?? null,
    name,
    addedAt,
  );
  if (changed === 0) return null;
  return addCompletions(tx, { subsystem: name, source: kind, times, now: at });
}
