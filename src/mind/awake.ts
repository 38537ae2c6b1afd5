/**
 * What the seed does by itself: the loop with every organ, and the look at the log that one of them tells of.
 * It is a module of its own so that the doors open without it: it brings most of the mind along.
 */
import type { SeedError } from '../errors.ts';
import { governedPauses } from '../substrate/coherence/alarms.ts';
import { Pulse } from './loop/pulse.ts';
import { systemTimers } from './loop/timers.ts';
import type { OrganParts } from './organs/index.ts';
import { seatsOf } from './organs/index.ts';
import { factSources, LogWatch } from './organs/teller/inner-facts.ts';
import type { ToolFace } from './organs/worker/tools.ts';
import { WORKER_TOOLS } from './organs/worker/tools.ts';

export interface AwakeParts extends Omit<OrganParts, 'facts' | 'tools'> {
  readonly findTool: (name: string) => Promise<ToolFace | null>;
  readonly onDefect: (error: SeedError) => void;
}

/** Made, and not turning yet. */
export interface Awake {
  readonly pulse: Pulse;
  /** Reads the newest receipts back; what is wrong with them is told to the owner. */
  readonly watchLog: (signal: AbortSignal) => Promise<void>;
}

export async function makeAwake({ onDefect, findTool, ...parts }: AwakeParts): Promise<Awake> {
  const { substrate } = parts;
  const logWatch = new LogWatch(substrate);
  const tools = (await Promise.all(WORKER_TOOLS.map(findTool))).filter((tool) => tool !== null);
  const seats = seatsOf({ ...parts, tools, facts: factSources(substrate, logWatch) });
  const pulse = new Pulse({ substrate, seats, timers: systemTimers, onDefect, brakes: governedPauses });
  return { pulse, watchLog: (signal) => logWatch.look(signal) };
}
