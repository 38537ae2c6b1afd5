/** What the doctor finds of what the seed does by itself, and of whether the work gets done. */
import { toSeedError } from '../errors.ts';
import { readCoherence } from '../mind/coherence/state.ts';
import type { SubsystemState } from '../mind/coherence/state.ts';
import type { Pulse, PulseState } from '../mind/loop/pulse.ts';
import type { Decision } from '../mind/rules.ts';
import type { Finding } from '../substrate/health/finding.ts';
import { bad, good, warning } from '../substrate/health/finding.ts';
import { listProbes } from '../substrate/probes/probes.ts';
import { isoTime } from '../substrate/sources.ts';
import type { SubstrateReader } from '../substrate/substrate.ts';
import { listTasks } from '../substrate/tasks/look.ts';
import type { MindView } from './mind-view.ts';
import { viewMind } from './mind-view.ts';
import { counted } from './text.ts';

/** Open tasks that are looked at. */
const TASKS_MAX = 1_000;
/** A task that nobody has taken up for as long as this waits for somebody who does not come. */
const LEFT_MS: number = 24 * 3_600_000;
/** Of subsystems and of probes, each with a line of its own. */
const LISTED_MAX = 20;

/** The loop, what keeps organs from working, and the tasks that are left to the worker. */
export async function examineMind(
  substrate: SubstrateReader,
  { pulse }: { readonly pulse: Pulse | null },
): Promise<Finding[]> {
  return examineMany('mind', async () => {
    const view = await substrate.read((db) => viewMind(db, { pulse }));
    const state = pulse?.state() ?? null;
    return [sayLoop(view, state), ...sayOrgans(state), ...(await examineTasks(substrate, view))];
  });
}

/** Every subsystem whose work does not get done as it did, and every probe that sees nothing. */
export async function examineCoherence(substrate: SubstrateReader): Promise<Finding[]> {
  return examineMany('coherence', async () => {
    const { overall, subsystems } = await readCoherence(substrate);
    const trouble = subsystems.filter(({ status }) => status === 'stalled' || status === 'drifting');
    const says =
      subsystems.length === 0
        ? 'Nothing is measured: there is no task and no probe.'
        : overall === 'unknown'
          ? `Too little is known yet of ${counted(subsystems.length, 'subsystem')} to say how the work goes.`
          : `The work gets done: ${counted(subsystems.length, 'subsystem')} looked at.`;
    return [
      ...(trouble.length === 0 ? [good('coherence', says)] : trouble.slice(0, LISTED_MAX).map(saySubsystem)),
      ...(await examineProbes(substrate)),
    ];
  });
}

/** What keeps a check from being made is what it found. @throws SeedError `interrupted` */
async function examineMany(check: string, fn: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await fn();
  } catch (thrown) {
    const { code, message, hint } = toSeedError(thrown);
    if (code === 'interrupted') throw thrown;
    return [bad(check, message, hint)];
  }
}

function sayLoop({ state, paused, halted, restarts, organs }: MindView, live: PulseState | null): Finding {
  if (state === 'silent') {
    const silent = Math.round((live?.silentMs ?? 0) / 1_000);
    return bad(
      'mind',
      `The loop has stood still for ${silent} s; another is about to take its place.`,
      'Should that happen again: `seed down`, `seed up`. The folder log says what was under way.',
    );
  }
  if (halted) return warning('mind', 'Halted with the seed: no organ works.', '`seed resume` ends it.');
  if (paused) return warning('mind', 'Paused: no organ works by itself.', '`seed mind resume` ends it.');
  if (state === 'off') {
    return warning(
      'mind',
      'It does not turn: nothing happens by itself.',
      '`seed up` turns it; `seed mind once` does what waits.',
    );
  }
  if (restarts > 0) {
    const often = restarts === 1 ? 'once' : `${restarts} times`;
    return warning('mind', `It stood still ${often} and was replaced.`, 'The folder log says what was under way.');
  }
  const on = organs.filter((organ) => organ.on).length;
  const off = organs.filter((organ) => !organ.on).map(({ name }) => name);
  return good('mind', `It turns: ${counted(on, 'organ')} on${off.length === 0 ? '' : `, off: ${off.join(', ')}`}.`);
}

/** What to do about an organ that a rule keeps from working although it is on; the other rules need nothing done. */
const AILMENTS: Readonly<Record<string, (organ: string) => string>> = {
  'backing off': (organ) => `\`seed mind log --organ ${organ}\` says what went wrong; it tries again by itself.`,
  blind: (organ) => `\`seed mind log --organ ${organ}\` says since when.`,
  orphaned: (organ) => `\`seed mind on ${organ}\` gives it another; \`seed mind off ${organ}\` if you meant that.`,
  held: (organ) =>
    organ === 'worker'
      ? '`seed policy explain worker` says what is in the way; `seed target add` adds a model.'
      : '`seed mind status` shows when it goes on.',
};

function sayOrgans(state: PulseState | null): Finding[] {
  if (state === null || state.state === 'off') return [];
  const ail = ({ organ, rule, because }: Decision): Finding[] => {
    const todo = AILMENTS[rule];
    return todo === undefined ? [] : [warning('organ', `${organ}: ${because}.`, todo(organ))];
  };
  return state.decisions.flatMap(ail);
}

/** Tasks that nobody takes up while the seed's own worker is switched off. */
async function examineTasks(substrate: SubstrateReader, { organs }: MindView): Promise<Finding[]> {
  const now = substrate.sources.now();
  const isOn = organs.some(({ name, on }) => name === 'worker' && on);
  if (isOn) return [];
  const open = await substrate.read((db) => listTasks(db, { state: 'claimable' }, { now, limit: TASKS_MAX }));
  const left = open.filter(({ changed_at: changed }) => now - changed > LEFT_MS);
  if (left.length === 0) return [];
  const says = `${counted(left.length, 'task')} that nobody has taken up for a day, and the seed’s own worker is off.`;
  return [
    warning('worker', says, '`seed task list --state open` shows them; `seed mind on worker` lets the seed do them.'),
  ];
}

function saySubsystem({ subsystem: { name }, status, since, reason }: SubsystemState): Finding {
  const when = since === null ? '' : ` since ${isoTime(since).slice(0, 10)}`;
  return warning(
    'coherence',
    `${name} is ${status}${when}. ${reason}`,
    `\`seed coherence --subsystem ${name}\` shows all that is measured of it.`,
  );
}

async function examineProbes(substrate: SubstrateReader): Promise<Finding[]> {
  const probes = await substrate.read(listProbes);
  return probes
    .flatMap(({ name, problem }) => {
      if (problem === null) return [];
      const says = `${name} sees nothing since ${isoTime(problem.since).slice(0, 16).replace('T', ' ')} UTC: ${problem.says}`;
      return [warning('probe', says, `Mend it, or \`seed probe remove ${name}\`.`)];
    })
    .slice(0, LISTED_MAX);
}
