/** How every subsystem is at this moment, read from what is on record. Changes nothing. */
import type { Alarm } from '../../substrate/coherence/alarms.ts';
import { listAlarms } from '../../substrate/coherence/alarms.ts';
import type { Entry, Status } from '../../substrate/coherence/history.ts';
import { listHistory, STATUSES } from '../../substrate/coherence/history.ts';
import type { Subsystem } from '../../substrate/coherence/subsystems.ts';
import { getSubsystem, listSubsystems } from '../../substrate/coherence/subsystems.ts';
import { readWork } from '../../substrate/coherence/work.ts';
import type { ReadHandle, SubstrateReader } from '../../substrate/substrate.ts';
import { recordOf, WINDOW } from './record.ts';
import type { Verdict } from './verdict.ts';
import { judge } from './verdict.ts';

/** Open alarms of one subsystem: one of each kind. */
const OPEN_ALARMS_MAX = 8;
const DAY_MS = 86_400_000;
const DAYS: number = WINDOW.ms / DAY_MS;

export interface SubsystemState extends Verdict {
  readonly subsystem: Subsystem;
  /** Since when it is as it is, ms since the epoch; null where that is not on record. */
  readonly since: number | null;
  /** Completed in each of the last 28 times 24 hours, the oldest first. */
  readonly daily: readonly number[];
  readonly alarms: readonly Alarm[];
  /** The newest change of its status on record; null before the first. */
  readonly changed: Entry | null;
}

export interface Coherence {
  /** The worst that is known of any of them. */
  readonly overall: Status;
  /** The worst first. */
  readonly subsystems: readonly SubsystemState[];
}

/** Reads one subsystem after the other, each in a short read of its own. */
export async function readCoherence(substrate: SubstrateReader): Promise<Coherence> {
  const now = substrate.sources.now();
  const subsystems: SubsystemState[] = [];
  for (const subsystem of await substrate.read(listSubsystems)) {
    subsystems.push(await substrate.read((db) => readSubsystem(db, subsystem, now)));
  }
  const sorted = subsystems.toSorted((a, b) => rank(a.status) - rank(b.status));
  return { overall: sorted[0]?.status ?? 'unknown', subsystems: sorted };
}

/** The same of one subsystem. @throws SeedError `not_found` */
export async function readCoherenceOf(substrate: SubstrateReader, name: string): Promise<Coherence> {
  const now = substrate.sources.now();
  const one = await substrate.read(async (db) => readSubsystem(db, await getSubsystem(db, name), now));
  return { overall: one.status, subsystems: [one] };
}

/** `unknown` comes last: it does not hide a healthy one. */
function rank(status: Status): number {
  return STATUSES.indexOf(status);
}

export async function readSubsystem(db: ReadHandle, subsystem: Subsystem, now: number): Promise<SubsystemState> {
  const { name } = subsystem;
  const record = recordOf(await readWork(db, name, now), subsystem, now);
  const verdict = judge(record);
  const alarms = await listAlarms(db, { subsystem: name, open: true, limit: OPEN_ALARMS_MAX });
  const [changed = null] = await listHistory(db, name, { limit: 1, kind: 'change' });
  const since = verdict.findings.map((finding) => finding.since);
  const onRecord = changed?.status === verdict.status ? changed.at : null;
  return {
    ...verdict,
    subsystem,
    since: since[0] === undefined ? onRecord : verdict.status === 'stalled' ? since[0] : Math.min(...since),
    daily: dailyOf(record.completions, now),
    alarms,
    changed,
  };
}

function dailyOf(completions: readonly number[], now: number): number[] {
  const counts = Array.from({ length: DAYS }, () => 0);
  for (const at of completions) {
    const day = DAYS - 1 - Math.floor((now - at) / DAY_MS);
    if (day >= 0) counts[day] = (counts[day] ?? 0) + 1;
  }
  return counts;
}
