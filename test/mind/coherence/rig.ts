/** A seed whose work coherence looks at: probed subsystems, stages, alarms, in few words. */
import type { Evaluation } from '../../../src/mind/coherence/coherence.ts';
import { evaluate } from '../../../src/mind/coherence/coherence.ts';
import { OWNER } from '../../../src/substrate/actor.ts';
import type { Alarm, NewAlarm } from '../../../src/substrate/coherence/alarms.ts';
import { clearAlarm, listAlarms, raiseAlarm } from '../../../src/substrate/coherence/alarms.ts';
import { addCompletions } from '../../../src/substrate/coherence/completions.ts';
import type { Stage } from '../../../src/substrate/coherence/subsystems.ts';
import { getSubsystem, registerProbed, saveSubsystem } from '../../../src/substrate/coherence/subsystems.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { HOUR_MS } from './random.ts';

const NEVER = new AbortController().signal;

/** One look at everything. */
export function look(substrate: Substrate): Promise<Evaluation> {
  return evaluate(substrate, { signal: NEVER, alive: () => {} });
}

/** Begins to watch a subsystem, with completions so many hours ago. */
export async function probe(
  substrate: Substrate,
  name: string,
  { hoursAgo, finished = false }: { hoursAgo: readonly number[]; finished?: boolean },
): Promise<void> {
  await substrate.operate({ action: 'probe.add', actor: OWNER }, (op) => registerProbed(op, { name, finished }));
  await complete(substrate, name, hoursAgo);
}

export async function complete(substrate: Substrate, name: string, hoursAgo: readonly number[]): Promise<number> {
  const times = hoursAgo.map((hours) => substrate.sources.now() - hours * HOUR_MS);
  return substrate.maintain((tx) => addCompletions(tx, { subsystem: name, source: 'git', times }));
}

/** Puts a subsystem into a stage, as if it had earned it just now. */
export async function put(substrate: Substrate, name: string, stage: Stage): Promise<void> {
  await substrate.operate({ action: 'test.stage', actor: OWNER }, async (op) =>
    saveSubsystem(op, { ...(await getSubsystem(op, name)), stage, stageAt: op.now }),
  );
}

export async function alarmsOf(substrate: Substrate, subsystem: string): Promise<Alarm[]> {
  return substrate.read((db) => listAlarms(db, { subsystem, limit: 100 }));
}

/** Governing, it holds back what a subsystem would take on. */
export async function pauseIntake(substrate: Substrate, name: string): Promise<void> {
  await substrate.operate({ action: 'test.pause', actor: OWNER }, async (op) => {
    await registerProbed(op, { name, finished: false });
    await saveSubsystem(op, { ...(await getSubsystem(op, name)), stage: 'govern' });
    const [since, reason] = [op.now, 'Most of it fails.'];
    const alarm = { kind: 'failing', stage: 'govern', provisional: false, act: null } as const;
    await raiseAlarm(op, { subsystem: name, ...alarm, since, reason, raisedAt: since });
  });
}

/** An alarm that is over, raised now; resolves to its number. */
export async function pastAlarm(
  substrate: Substrate,
  subsystem: string,
  more: Partial<NewAlarm> = {},
): Promise<number> {
  const now = substrate.sources.now();
  const blank = { kind: 'stall', stage: 'observe', provisional: false, since: now, reason: 'It was silent.' } as const;
  return substrate.maintain(async (tx) => {
    await raiseAlarm(tx, { subsystem, ...blank, act: null, raisedAt: now, ...more });
    const [alarm] = await listAlarms(tx, { subsystem, limit: 1 });
    if (alarm === undefined) throw new Error('No alarm was raised.');
    await clearAlarm(tx, alarm, now);
    return alarm.n;
  });
}

const OWN: ReadonlySet<string> = new Set([
  'substrate_subsystems',
  'substrate_completions',
  'substrate_alarms',
  'substrate_coherence_history',
]);

/** Every row of every table: of coherence's own (`own`), or of all others. The store's count of numbers is nobody's. */
export async function rows(substrate: Substrate, which: 'own' | 'others'): Promise<string> {
  return substrate.read(async (db) => {
    const tables = await db.all<{ name: string }>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name <> 'sqlite_sequence' ORDER BY name",
    );
    const wanted = tables.filter(({ name }) => OWN.has(name) === (which === 'own'));
    const dump: unknown[] = [];
    for (const { name } of wanted) dump.push([name, await db.all(`SELECT * FROM ${name}`)]);
    return JSON.stringify(dump);
  });
}

/** Hours ago: so many, an hour apart, the last one so long ago. */
export function hourly(count: number, lastHours: number): number[] {
  return Array.from({ length: count }, (_, i) => lastHours + i);
}
