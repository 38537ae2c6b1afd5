/**
 * Alarms: what coherence found wrong with a subsystem, what it did about it, and what the owner says of it.
 *
 * Where coherence only watches (observe, shadow) they are written by `maintain` and change nothing; where it may
 * act (advise, govern) by an operation. The owner's word on one is an operation always: a promotion counts them.
 */
import { SeedError } from '../../errors.ts';
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import type { Stage } from './subsystems.ts';

/** `stall`: silence. `failing`: most fails. `success`: more fails than did. `cycle`: it takes another time. */
const KINDS = ['stall', 'failing', 'success', 'cycle'] as const;
export type AlarmKind = (typeof KINDS)[number];
export type Label = 'right' | 'wrong';

/** Kept of one subsystem, the newest. */
const ALARMS_MAX = 500;

export interface Alarm {
  readonly n: number;
  readonly subsystem: string;
  readonly kind: AlarmKind;
  /** The subsystem's when it was raised. */
  readonly stage: Stage;
  readonly provisional: boolean;
  /** Since when it has been wrong, ms since the epoch as all times here. */
  readonly since: number;
  readonly reason: string;
  /** What was done, or in shadow would have been; null where nothing is. */
  readonly act: string | null;
  readonly raisedAt: number;
  /** Null while it is open. */
  readonly clearedAt: number | null;
  readonly label: Label | null;
}

interface AlarmRow extends Row {
  readonly n: number;
  readonly subsystem: string;
  readonly kind: AlarmKind;
  readonly stage: Stage;
  readonly provisional: number;
  readonly since: number;
  readonly reason: string;
  readonly act: string | null;
  readonly raised_at: number;
  readonly cleared_at: number | null;
  readonly label: Label | null;
}

const COLUMNS = 'n, subsystem, kind, stage, provisional, since, reason, act, raised_at, cleared_at, label';

function fromRow({ provisional, raised_at, cleared_at, ...row }: AlarmRow): Alarm {
  return { ...row, provisional: provisional === 1, raisedAt: raised_at, clearedAt: cleared_at };
}

/** The id by which people name an alarm. */
export function alarmId({ n }: Pick<Alarm, 'n'>): string {
  return `a${n}`;
}

/**
 * A statement for each question, since an index serves only what a statement says outright. Those that are open
 * are few, and their index finds them: with `+n`, or the table would be read in the order of `n`; with its kinds,
 * or all that the subsystem ever raised would be.
 */
const WHICH = {
  all: 'ORDER BY n DESC',
  ofOne: 'WHERE subsystem = ? ORDER BY n DESC',
  open: 'WHERE cleared_at IS NULL ORDER BY +n DESC',
  openOfOne: `WHERE subsystem = ? AND kind IN (${KINDS.map(() => '?').join(', ')}) AND cleared_at IS NULL
    ORDER BY +n DESC`,
} as const;

/** Alarms, the newest first: of a subsystem alone, or the open ones alone, where it says so. */
export async function listAlarms(
  db: ReadHandle,
  { subsystem, open = false, limit }: { subsystem?: string; open?: boolean; limit: number },
): Promise<Alarm[]> {
  const list = async (which: keyof typeof WHICH, ...params: readonly string[]): Promise<Alarm[]> => {
    const sql = `SELECT ${COLUMNS} FROM substrate_alarms ${WHICH[which]} LIMIT ?`;
    return (await db.all<AlarmRow>(sql, ...params, limit)).map(fromRow);
  };
  if (subsystem === undefined) return list(open ? 'open' : 'all');
  return open ? list('openOfOne', subsystem, ...KINDS) : list('ofOne', subsystem);
}

/** @throws SeedError `not_found` */
export async function getAlarm(db: ReadHandle, n: number): Promise<Alarm> {
  const row = await db.get<AlarmRow>(`SELECT ${COLUMNS} FROM substrate_alarms WHERE n = ?`, n);
  if (row !== undefined) return fromRow(row);
  throw new SeedError('not_found', `There is no alarm a${n}.`, {
    hint: '`seed coherence --history` shows them.',
    data: { argument: 'alarm' },
  });
}

export type NewAlarm = Omit<Alarm, 'n' | 'clearedAt' | 'label'>;

/** Raises an alarm; of one kind and subsystem one is open at most, which its index holds. */
export async function raiseAlarm(tx: WriteHandle, alarm: NewAlarm): Promise<void> {
  const { subsystem, kind, stage, provisional, since, reason, act, raisedAt } = alarm;
  await tx.run(
    `INSERT INTO substrate_alarms (subsystem, kind, stage, provisional, since, reason, act, raised_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    subsystem,
    kind,
    stage,
    provisional ? 1 : 0,
    since,
    reason,
    act,
    raisedAt,
  );
  await tx.run(
    `DELETE FROM substrate_alarms WHERE subsystem = ? AND cleared_at IS NOT NULL AND n <
       (SELECT n FROM substrate_alarms WHERE subsystem = ? ORDER BY n DESC LIMIT 1 OFFSET ?)`,
    subsystem,
    subsystem,
    ALARMS_MAX - 1,
  );
}

export async function clearAlarm(tx: WriteHandle, { n }: Pick<Alarm, 'n'>, now: number): Promise<void> {
  await tx.run('UPDATE substrate_alarms SET cleared_at = ? WHERE n = ? AND cleared_at IS NULL', now, n);
}

export async function labelAlarm(
  tx: WriteHandle,
  { n }: Pick<Alarm, 'n'>,
  { label, now }: { label: Label; now: number },
): Promise<void> {
  await tx.run('UPDATE substrate_alarms SET label = ?, labelled_at = ? WHERE n = ?', label, now, n);
}

interface TallyRow extends Row {
  readonly label: string;
  readonly count: number;
}

/** How the owner found the alarms that a subsystem raised since then; in one stage alone where it says so. */
export async function tallyLabels(
  db: ReadHandle,
  subsystem: string,
  { since, stage }: { since: number; stage?: Stage },
): Promise<{ right: number; wrong: number; unlabelled: number }> {
  const rows = await db.all<TallyRow>(
    `SELECT coalesce(label, 'unlabelled') AS label, count(*) AS count FROM substrate_alarms
     WHERE subsystem = ? AND raised_at >= ? AND coalesce(?, stage) = stage GROUP BY label`,
    subsystem,
    since,
    stage ?? null,
  );
  const counts = new Map(rows.map(({ label, count }) => [label, count]));
  return {
    right: counts.get('right') ?? 0,
    wrong: counts.get('wrong') ?? 0,
    unlabelled: counts.get('unlabelled') ?? 0,
  };
}

/** A subsystem whose intake coherence holds back. */
export interface Pause {
  readonly subsystem: string;
  /** When it was paused, ms since the epoch. */
  readonly since: number;
  readonly reason: string;
}

/** What an alarm of this kind brakes where coherence governs. What is silent would only be silenced by a pause. */
const PAUSING: readonly AlarmKind[] = ['failing', 'success'];

export function pauses(kind: AlarmKind): boolean {
  return PAUSING.includes(kind);
}

interface PauseRow extends Row {
  readonly subsystem: string;
  readonly since: number;
  readonly reason: string;
}

/**
 * The subsystems from which nothing new is to be taken on now: coherence governs them, and an alarm that says that
 * their work fails is open and not yet looked at. It ends when the alarm clears, when the owner has labelled it
 * either way, and when the subsystem is demoted. Work that was taken on goes on.
 */
export async function governedPauses(db: ReadHandle): Promise<Pause[]> {
  const rows = await db.all<PauseRow>(
    `SELECT a.subsystem, a.raised_at AS since, a.reason FROM substrate_alarms a
     JOIN substrate_subsystems s ON s.name = a.subsystem AND s.stage = 'govern'
     WHERE a.cleared_at IS NULL AND a.label IS NULL AND a.stage = 'govern'
       AND a.kind IN (${PAUSING.map(() => '?').join(', ')})
     ORDER BY a.subsystem, +a.n`,
    ...PAUSING,
  );
  // Two reasons to pause are one pause, since the first of them.
  return rows.filter(({ subsystem }, i) => rows[i - 1]?.subsystem !== subsystem);
}
