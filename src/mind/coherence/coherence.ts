/**
 * Coherence: knows whether the work gets done. It reads the record of each subsystem, judges it, and keeps what it
 * found: alarms, and changes of status. What else follows is a matter of the subsystem's stage (`stage.ts`); in
 * observe and shadow nothing does, and nothing but coherence's own tables is written.
 */
import { SEED } from '../../substrate/actor.ts';
import { post } from '../../substrate/bus/post.ts';
import type { Alarm } from '../../substrate/coherence/alarms.ts';
import { alarmId, clearAlarm, listAlarms, raiseAlarm } from '../../substrate/coherence/alarms.ts';
import type { Entry } from '../../substrate/coherence/history.ts';
import { addEntry, listHistory } from '../../substrate/coherence/history.ts';
import { findSubsystem, listSubsystems } from '../../substrate/coherence/subsystems.ts';
import type { Operation, ReadHandle, Substrate, WriteHandle } from '../../substrate/substrate.ts';
import { hasRoom } from '../../substrate/tasks/tell.ts';
import type { SubsystemState } from './state.ts';
import { readSubsystem } from './state.ts';
import { actOf, mayAct } from './stage.ts';
import type { Finding, Verdict } from './verdict.ts';
import { sayCount } from './words.ts';

const DAY_MS = 86_400_000;
/** Open alarms of one subsystem: one of each kind. */
const OPEN_ALARMS_MAX = 8;
/** How long a message to the owner waits to be read. */
const MESSAGE_LIFE_MS: number = 7 * DAY_MS;

export interface Evaluation {
  readonly subsystems: number;
  /** Those of which something was written down. */
  readonly changed: readonly string[];
  readonly raised: number;
  readonly cleared: number;
  /** When time alone will change something next, ms since the epoch. */
  readonly due: number | null;
}

/** What is to be written of one subsystem. */
interface Changes {
  readonly raise: readonly Finding[];
  readonly clear: readonly Alarm[];
  readonly entry: Entry | null;
}

/** Looks at every subsystem once. Where nothing changed since it last looked, it writes nothing. */
export async function evaluate(
  substrate: Substrate,
  { signal, alive }: { signal: AbortSignal; alive: () => void },
): Promise<Evaluation> {
  const subsystems = await substrate.read(listSubsystems);
  const changed: string[] = [];
  const dues: number[] = [];
  let [raised, cleared] = [0, 0];
  for (const { name } of subsystems) {
    if (signal.aborted) break;
    alive();
    const { due, raise, clear, isChanged } = await evaluateOne(substrate, name);
    if (due !== null) dues.push(due);
    if (isChanged) changed.push(name);
    raised += raise;
    cleared += clear;
  }
  if (changed.length > 0) substrate.coherence.changed();
  return { subsystems: subsystems.length, changed, raised, cleared, due: dues.length === 0 ? null : Math.min(...dues) };
}

interface One {
  readonly due: number | null;
  readonly raise: number;
  readonly clear: number;
  readonly isChanged: boolean;
}

async function evaluateOne(substrate: Substrate, name: string): Promise<One> {
  const now = substrate.sources.now();
  const seen = await substrate.read(async (db) => {
    const subsystem = await findSubsystem(db, name);
    if (subsystem === null) return null;
    const state = await readSubsystem(db, subsystem, now);
    return { state, changes: await changesOf(db, state, now) };
  });
  // Its probe was taken away meanwhile.
  if (seen === null) return { due: null, raise: 0, clear: 0, isChanged: false };
  const { state, changes } = seen;
  const written = isEmpty(changes) ? changes : await write(substrate, { state, changes, now });
  return {
    due: state.due,
    raise: written.raise.length,
    clear: written.clear.length,
    isChanged: !isEmpty(written),
  };
}

function isEmpty({ raise, clear, entry }: Changes): boolean {
  return raise.length === 0 && clear.length === 0 && entry === null;
}

/** What differs between a verdict and what is on record. */
async function changesOf(db: ReadHandle, state: SubsystemState, now: number): Promise<Changes> {
  const { name } = state.subsystem;
  const open = await listAlarms(db, { subsystem: name, open: true, limit: OPEN_ALARMS_MAX });
  const [newest] = await listHistory(db, name, { limit: 1 });
  const [changed] = await listHistory(db, name, { limit: 1, kind: 'change' });
  const raise = state.findings.filter(({ kind }) => !open.some((alarm) => alarm.kind === kind));
  const clear = open.filter(({ kind }) => !state.findings.some((finding) => finding.kind === kind));
  const scores = scoresOf(state);
  const isOther = changed?.status !== state.status || changed.provisional !== state.provisional;
  const isNewDay = newest !== undefined && dayOf(newest.at) < dayOf(now) && !isEqual(newest.scores, scores);
  const kind = isOther || raise.length > 0 || clear.length > 0 ? 'change' : isNewDay ? 'day' : null;
  const { status, provisional, reason } = state;
  return { raise, clear, entry: kind === null ? null : { at: now, kind, status, provisional, reason, scores } };
}

function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** To two decimals: finer differences are no news. */
function scoresOf({ components }: Verdict): Entry['scores'] {
  const known = components.flatMap(({ name, score }) => (score === null ? [] : [[name, score] as const]));
  return Object.fromEntries(known.map(([name, score]) => [name, Math.round(score * 100) / 100]));
}

function isEqual(a: Entry['scores'], b: Entry['scores']): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => a[name] === b[name]);
}

/** Writes what changed, as it is in that transaction: the owner may have changed the stage meanwhile. */
async function write(
  substrate: Substrate,
  { state, changes, now }: { state: SubsystemState; changes: Changes; now: number },
): Promise<Changes> {
  const { name, stage } = state.subsystem;
  const isAlarm = changes.raise.length + changes.clear.length > 0;
  if (!mayAct(stage) || !isAlarm) return substrate.maintain((tx) => record(tx, state, now));
  const action = changes.raise.length > 0 ? 'coherence.alarm' : 'coherence.clear';
  const { value } = await substrate.operate({ action, actor: SEED }, async (op) => {
    const written = await record(op, state, now);
    const told = await tellOwner(op, substrate, { name, raised: written.raise, stage });
    // Said last: the message has said something of its own.
    op.receipt({
      subject: { type: 'subsystem', id: name },
      detail: {
        stage,
        raised: written.raise.map(({ kind }) => kind),
        cleared: written.clear.map(alarmId),
        told: told.length,
      },
    });
    return { written, told };
  });
  substrate.mail.arrived(value.told);
  return value.written;
}

const NOTHING: Changes = { raise: [], clear: [], entry: null };

async function record(tx: WriteHandle, state: SubsystemState, now: number): Promise<Changes> {
  const { name, stage } = state.subsystem;
  // With another stage other things follow: the next look sees to them.
  if ((await findSubsystem(tx, name))?.stage !== stage) return NOTHING;
  const changes = await changesOf(tx, state, now);
  for (const { kind, since, provisional, reason } of changes.raise) {
    const act = actOf(stage, kind);
    await raiseAlarm(tx, { subsystem: name, kind, stage, provisional, since, reason, act, raisedAt: now });
  }
  for (const alarm of changes.clear) await clearAlarm(tx, alarm, now);
  if (changes.entry !== null) await addEntry(tx, name, changes.entry);
  return changes;
}

/** A message to the owner, with what was raised; whoever's inbox is full is told by the list of alarms alone. */
async function tellOwner(
  op: Operation,
  { sources }: Substrate,
  { name, raised, stage }: { name: string; raised: readonly Finding[]; stage: SubsystemState['subsystem']['stage'] },
): Promise<readonly string[]> {
  if (raised.length === 0 || !(await hasRoom(op, 'owner'))) return [];
  const lines = raised.map(({ kind, reason }) => `${reason} (${actOf(stage, kind) ?? ''})`);
  const body = Buffer.from(`${sayCount(raised.length, 'alarm')} of ${name}: ${lines.join(' ')}`);
  const draft = { to: ['owner'], format: 'text', body, thread: `coherence:${name}`, lifeMs: MESSAGE_LIFE_MS } as const;
  const { holders } = await post(op, SEED, draft, sources);
  return holders;
}
