/**
 * THE rules by which the mind decides, all of them, in the order in which they speak.
 *
 * Pure: what is known goes in, one decision for each organ comes out, with its reason in words. The first
 * rule that has something to say of an organ decides. Nothing here reads a clock or the store, so the same
 * facts give the same decisions, byte for byte.
 */
import type { Pause } from '../substrate/coherence/alarms.ts';
import { isoTime } from '../substrate/sources.ts';
import type { Sight } from './organ.ts';

/** What is known of one organ. */
export interface OrganFacts {
  readonly name: string;
  readonly isOn: boolean;
  /** It needs a grant, had one, and has none now: the owner removed it. */
  readonly isOrphan: boolean;
  readonly isRunning: boolean;
  /** What it sees; null where it could not look. */
  readonly sight: Sight | null;
  /** Why it could not look. */
  readonly blind: string | null;
  /** How much longer it is left alone after a failure or a run without result, ms; 0 when it is not. */
  readonly backOffMs: number;
  /** Why it is left alone, such as `it threw 3 times`; null when it is not. */
  readonly backOffWhy: string | null;
  /** It takes on work of subsystems, which coherence may brake. */
  readonly takesWorkOn: boolean;
}

/** All that is decided on. */
export interface Facts {
  /** Wall clock, ms since the epoch. */
  readonly now: number;
  /** Why the log is not trusted; null when it is. */
  readonly distrust: string | null;
  readonly halted: boolean;
  readonly paused: boolean;
  /** The owner asked for this round: it counts although the mind is paused. */
  readonly once: boolean;
  readonly organs: readonly OrganFacts[];
  /** What coherence brakes, by its own stages; nothing while it only observes. */
  readonly brakes: readonly Pause[];
  /** What was perceived since the last decision, by kind, in words. */
  readonly news: readonly string[];
}

/** `run`: begin. `stop`: end the run that is under way. `rest`: nothing, for the reason given. */
export type Verb = 'run' | 'stop' | 'rest';

export interface Decision {
  readonly organ: string;
  readonly act: Verb;
  /** The rule that decided. */
  readonly rule: string;
  readonly because: string;
}

interface Rule {
  readonly name: string;
  readonly act: 'run' | 'rest';
  /** A run that is under way is ended too. */
  readonly stops: boolean;
  /** The reason, where the rule applies. */
  readonly says: (organ: OrganFacts, facts: Facts) => string | null;
}

function ends(name: string, says: Rule['says']): Rule {
  return { name, act: 'rest', stops: true, says };
}

function rests(name: string, says: Rule['says']): Rule {
  return { name, act: 'rest', stops: false, says };
}

const RULES: readonly Rule[] = [
  ends('distrusted', (_organ, { distrust }) => (distrust === null ? null : `the log is not trusted: ${distrust}`)),
  ends('halted', (_organ, { halted }) => (halted ? 'the owner has halted the seed' : null)),
  ends('off', ({ isOn }) => (isOn ? null : 'it is switched off')),
  ends('orphaned', ({ isOrphan }) => (isOrphan ? 'its grant was removed; switching it on gives it another' : null)),
  ends('paused', (_organ, { paused, once }) => (paused && !once ? 'the owner has paused the mind' : null)),
  rests('running', ({ isRunning }) => (isRunning ? 'it is at work' : null)),
  rests('backing off', ({ backOffMs, backOffWhy }) =>
    backOffMs > 0 ? `${backOffWhy ?? 'it failed'}; left alone for ${seconds(backOffMs)}` : null,
  ),
  rests('blind', ({ sight, blind }) => (sight === null ? `it could not look: ${blind ?? 'it did not say why'}` : null)),
  rests('held', ({ sight }) =>
    sight === null || sight.held === null ? null : `waiting: ${sight.held} (${pieces(sight)})`,
  ),
  rests('idle', ({ sight }) => (sight === null || sight.waiting > 0 ? null : `nothing to do${later(sight)}`)),
  { name: 'work', act: 'run', stops: false, says: workReason },
];

/** Decides for every organ, in the order in which they stand. */
export function decide(facts: Facts): Decision[] {
  return facts.organs.map((organ) => decideOne(organ, facts));
}

function decideOne(organ: OrganFacts, facts: Facts): Decision {
  for (const { name: rule, act, stops, says } of RULES) {
    const because = says(organ, facts);
    if (because === null) continue;
    return { organ: organ.name, act: stops && organ.isRunning ? 'stop' : act, rule, because };
  }
  throw new Error(`No rule speaks of ${organ.name}.`);
}

function workReason({ sight, takesWorkOn }: OrganFacts, { brakes: braked, news }: Facts): string | null {
  if (sight === null) return null;
  const seen = news.length === 0 ? '' : `; since the last look: ${news.join(', ')}`;
  const kept = takesWorkOn && braked.length > 0 ? `; coherence keeps it from ${braked.map(sayPause).join(', ')}` : '';
  return `${waits(sight)}${kept}${seen}`;
}

function sayPause({ subsystem, since, reason }: Pause): string {
  return `${subsystem} since ${isoTime(since)} (${reason})`;
}

function waits(sight: Sight): string {
  return `${pieces(sight)} ${sight.waiting === 1 ? 'waits' : 'wait'}`;
}

function pieces({ waiting }: Sight): string {
  return waiting === 1 ? '1 piece' : `${waiting} pieces`;
}

function later({ nextAt }: Sight): string {
  return nextAt === null ? '' : ` until ${isoTime(nextAt).slice(0, 19)}Z`;
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1_000)} s`;
}
