/** What the owner does about coherence: says of an alarm whether it was right, and moves a subsystem's stage. */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../../substrate/actor.ts';
import type { Label } from '../../substrate/coherence/alarms.ts';
import { alarmId, getAlarm, labelAlarm, tallyLabels } from '../../substrate/coherence/alarms.ts';
import { observedSince } from '../../substrate/coherence/history.ts';
import type { Stage, Subsystem } from '../../substrate/coherence/subsystems.ts';
import { findSubsystem, getSubsystem, saveSubsystem } from '../../substrate/coherence/subsystems.ts';
import { countCompleted } from '../../substrate/coherence/work.ts';
import type { Operation, ReadHandle, Substrate } from '../../substrate/substrate.ts';
import type { Assessment, Evidence } from './stage.ts';
import { assess, FALSE_ALARMS_MAX, stageAfter, stageBefore } from './stage.ts';

const MILLION = 1_000_000;

export interface Labelled {
  readonly subsystem: string;
  /** The stage that it fell to, since it was wrong too often; null where it stays. */
  readonly demotedTo: Stage | null;
  readonly receipt: number;
}

/** Puts the owner's word on an alarm on record; enough wrong ones within a stage cost the stage, at once. */
export async function label(
  substrate: Substrate,
  { alarm: n, label: word, actor }: { alarm: number; label: Label; actor: Actor },
): Promise<Labelled> {
  const { value, seq } = await substrate.operate({ action: 'coherence.label', actor }, async (op) => {
    const alarm = await getAlarm(op, n);
    const { subsystem: name, kind, stage } = alarm;
    op.receipt({
      subject: { type: 'alarm', id: alarmId(alarm) },
      detail: { subsystem: name, kind, stage, label: word },
    });
    await labelAlarm(op, alarm, { label: word, now: op.now });
    const subsystem = await findSubsystem(op, name);
    const below = subsystem === null ? null : stageBefore(subsystem.stage);
    if (subsystem === null || below === null || !(await isWrongTooOften(op, subsystem))) {
      return { subsystem: name, demotedTo: null };
    }
    await lower(op, subsystem, below);
    op.receipt({ detail: { subsystem: name, kind, stage, label: word, demoted_to: below } });
    return { subsystem: name, demotedTo: below };
  });
  substrate.coherence.changed();
  return { ...value, receipt: seq };
}

async function isWrongTooOften(db: ReadHandle, { name, stage, stageAt }: Subsystem): Promise<boolean> {
  const { wrong } = await tallyLabels(db, name, { since: stageAt, stage });
  return wrong >= FALSE_ALARMS_MAX;
}

/** From here on evidence counts anew: whatever earned the stage did not hold. */
async function lower(op: Operation, subsystem: Subsystem, stage: Stage): Promise<void> {
  await saveSubsystem(op, { ...subsystem, stage, stageAt: op.now, evidenceAt: op.now });
}

/** What there is to judge a promotion by. Only what was completed while somebody looked counts. */
async function evidenceOf(db: ReadHandle, { name, evidenceAt }: Subsystem): Promise<Evidence> {
  const observed = await observedSince(db, name);
  const completed = observed === null ? 0 : await countCompleted(db, name, Math.max(evidenceAt, observed));
  return { ...(await tallyLabels(db, name, { since: evidenceAt })), completed };
}

export interface Moved {
  readonly stage: Stage;
  readonly receipt: number;
}

/**
 * Moves a subsystem one stage up, with the figures that allow it in the receipt.
 *
 * @throws SeedError `not_found`; `conflict` where the evidence does not allow it, saying what is missing
 */
export async function promote(
  substrate: Substrate,
  { subsystem: name, actor }: { subsystem: string; actor: Actor },
): Promise<Moved> {
  const { value, seq } = await substrate.operate({ action: 'coherence.promote', actor }, async (op) => {
    op.receipt({ subject: { type: 'subsystem', id: name } });
    const subsystem = await getSubsystem(op, name);
    const stage = stageAfter(subsystem.stage);
    if (stage === null) throw alreadyAt(subsystem, 'It cannot go further.');
    const evidence = await evidenceOf(op, subsystem);
    const assessment = assess(stage, evidence);
    op.receipt({ detail: detailOf(subsystem.stage, stage, { evidence, assessment }) });
    if (!assessment.allowed) throw notEarned(name, stage, assessment);
    await saveSubsystem(op, { ...subsystem, stage, stageAt: op.now });
    return stage;
  });
  substrate.coherence.changed();
  return { stage: value, receipt: seq };
}

/** Receipts hold whole numbers: bounds are in millionths. */
function detailOf(
  from: Stage,
  to: Stage,
  { evidence, assessment }: { evidence: Evidence; assessment: Assessment },
): Readonly<Record<string, string | number>> {
  return {
    from,
    to,
    ...evidence,
    precision_ppm: Math.floor(assessment.precision * MILLION),
    false_alarms_ppm: Math.ceil(assessment.falseAlarms * MILLION),
  };
}

/** Moves a subsystem one stage down; any pause that it was under ends with it. @throws SeedError `not_found`, `conflict` */
export async function demote(
  substrate: Substrate,
  { subsystem: name, actor }: { subsystem: string; actor: Actor },
): Promise<Moved> {
  const { value, seq } = await substrate.operate({ action: 'coherence.demote', actor }, async (op) => {
    op.receipt({ subject: { type: 'subsystem', id: name } });
    const subsystem = await getSubsystem(op, name);
    const stage = stageBefore(subsystem.stage);
    if (stage === null) throw alreadyAt(subsystem, 'It only logs what it finds.');
    await lower(op, subsystem, stage);
    op.receipt({ detail: { from: subsystem.stage, to: stage } });
    return stage;
  });
  substrate.coherence.changed();
  return { stage: value, receipt: seq };
}

function alreadyAt({ name, stage }: Subsystem, why: string): SeedError {
  return new SeedError('conflict', `Coherence is at "${stage}" for ${name}. ${why}`, {
    hint: '`seed coherence` shows the stage of each subsystem.',
    data: { stage },
  });
}

function notEarned(name: string, stage: Stage, { missing }: Assessment): SeedError {
  return new SeedError('conflict', `Coherence has not earned "${stage}" for ${name} yet. ${missing.join(' ')}`, {
    hint: 'Say of its alarms whether they were right: `seed coherence label ALARM right`. Those without a word count as wrong.',
    data: { stage },
  });
}
