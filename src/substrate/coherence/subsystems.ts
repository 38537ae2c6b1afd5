/**
 * The subsystems whose work is measured: those that have tasks, and those that probes watch from outside.
 *
 * Rows are changed by operations. A subsystem of tasks alone needs none; it is observed until its stage changes.
 */
import { SeedError } from '../../errors.ts';
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import { removeCompletions } from './completions.ts';

/** Subsystems that are measured, the most recently active; any agent can name a new one in a task. */
export const SUBSYSTEMS_MAX = 200;
/** Names that are looked at to find them. */
const NAMES_MAX = 1_000;

/** How far coherence may go for a subsystem, in this order. */
export const STAGES = ['observe', 'shadow', 'advise', 'govern'] as const;
export type Stage = (typeof STAGES)[number];

export interface Subsystem {
  readonly name: string;
  /** `probe`: a probe sees its completions outside the seed; it may have tasks as well. */
  readonly kind: 'tasks' | 'probe';
  /** The owner says that nothing more is to come from outside: its silence is no stall. */
  readonly finished: boolean;
  readonly stage: Stage;
  /** Since when it is in its stage, ms since the epoch; 0 from the beginning. */
  readonly stageAt: number;
  /** Since when evidence for a promotion counts: since the last demotion. */
  readonly evidenceAt: number;
}

interface SubsystemRow extends Row {
  readonly name: string;
  readonly kind: Subsystem['kind'];
  readonly finished: number;
  readonly stage: Stage;
  readonly stage_at: number;
  readonly evidence_at: number;
}

const COLUMNS = 'name, kind, finished, stage, stage_at, evidence_at';

function ofTasks(name: string): Subsystem {
  return { name, kind: 'tasks', finished: false, stage: 'observe', stageAt: 0, evidenceAt: 0 };
}

function fromRow({ name, kind, finished, stage, stage_at, evidence_at }: SubsystemRow): Subsystem {
  return { name, kind, finished: finished === 1, stage, stageAt: stage_at, evidenceAt: evidence_at };
}

/** A subsystem that has a probe, a task or a stage of its own; null where there is none of that name. */
export async function findSubsystem(db: ReadHandle, name: string): Promise<Subsystem | null> {
  const row = await db.get<SubsystemRow>(`SELECT ${COLUMNS} FROM substrate_subsystems WHERE name = ?`, name);
  if (row !== undefined) return fromRow(row);
  const task = await db.get('SELECT 1 FROM substrate_tasks WHERE subsystem = ? LIMIT 1', name);
  return task === undefined ? null : ofTasks(name);
}

/** @throws SeedError `not_found` */
export async function getSubsystem(db: ReadHandle, name: string): Promise<Subsystem> {
  const found = await findSubsystem(db, name);
  if (found !== null) return found;
  throw new SeedError('not_found', `There is no subsystem ${name}: no task and no probe is of that name.`, {
    hint: '`seed coherence` shows them.',
    data: { argument: 'subsystem' },
  });
}

interface NameRow extends Row {
  readonly name: string;
}

/** Each name once, by stepping through the index from one to the next. */
const NAMES_OF_TASKS = `WITH RECURSIVE names (name) AS (
    SELECT min(subsystem) FROM substrate_tasks
    UNION ALL SELECT (SELECT min(subsystem) FROM substrate_tasks WHERE subsystem > names.name)
      FROM names WHERE names.name IS NOT NULL
  ), some AS (SELECT name FROM names WHERE name IS NOT NULL LIMIT ?)
  SELECT name FROM some
  ORDER BY (SELECT max(seq) FROM substrate_tasks WHERE subsystem = name) DESC LIMIT ?`;

/** All that are measured, by name: first those with a row, then the most recently active of the others. */
export async function listSubsystems(db: ReadHandle): Promise<Subsystem[]> {
  const rows = await db.all<SubsystemRow>(
    `SELECT ${COLUMNS} FROM substrate_subsystems ORDER BY kind, receipt DESC LIMIT ?`,
    SUBSYSTEMS_MAX,
  );
  const known = new Set(rows.map(({ name }) => name));
  const names = await db.all<NameRow>(NAMES_OF_TASKS, NAMES_MAX, SUBSYSTEMS_MAX);
  const others = names.filter(({ name }) => !known.has(name)).slice(0, SUBSYSTEMS_MAX - rows.length);
  return [...rows.map(fromRow), ...others.map(({ name }) => ofTasks(name))].toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

/** Writes a subsystem's row, in place of what it was. */
export async function saveSubsystem(op: Operation, subsystem: Subsystem): Promise<void> {
  const { name, kind, finished, stage, stageAt, evidenceAt } = subsystem;
  await op.run(
    `REPLACE INTO substrate_subsystems (name, kind, finished, stage, stage_at, evidence_at, receipt)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    name,
    kind,
    finished ? 1 : 0,
    stage,
    stageAt,
    evidenceAt,
    op.seq,
  );
}

/**
 * A probe watches this subsystem from now on, in the owner's operation that adds the probe; or it is told again
 * whether the work outside is finished. What coherence learned of it so far stays.
 */
export async function registerProbed(
  op: Operation,
  { name, finished }: { name: string; finished: boolean },
): Promise<void> {
  const known = (await findSubsystem(op, name)) ?? { ...ofTasks(name), stageAt: op.now, evidenceAt: op.now };
  await saveSubsystem(op, { ...known, kind: 'probe', finished });
}

/** Its probe is gone, and with it what the probe saw; a subsystem that has tasks keeps its stage. */
export async function unregisterProbed(op: Operation, name: string): Promise<void> {
  const known = await findSubsystem(op, name);
  await removeCompletions(op, name);
  if (known === null) return;
  const task = await op.get('SELECT 1 FROM substrate_tasks WHERE subsystem = ? LIMIT 1', name);
  if (task !== undefined) {
    await saveSubsystem(op, { ...known, kind: 'tasks', finished: false });
    return;
  }
  await forget(op, name);
}

async function forget(tx: WriteHandle, name: string): Promise<void> {
  await tx.run('DELETE FROM substrate_subsystems WHERE name = ?', name);
  await tx.run('DELETE FROM substrate_alarms WHERE subsystem = ?', name);
  await tx.run('DELETE FROM substrate_coherence_history WHERE subsystem = ?', name);
}
