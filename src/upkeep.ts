/** What a daemon does by itself behind open doors: upkeep by the hour, and what it says and gives back after its start. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { SeedError } from './errors.ts';
import { toSeedError } from './errors.ts';
import type { Notifiers } from './membrane/notify.ts';
import { sweep as sweepBus } from './substrate/bus/bus.ts';
import { sampleGrowth } from './substrate/health.ts';
import { sweep as sweepMemory } from './substrate/memory/memory.ts';
import { readPolicy } from './substrate/policy/policy.ts';
import { eraseDueContent } from './substrate/retention.ts';
import { closeIdle } from './substrate/sessions/conversations.ts';
import { isoTime, systemSources } from './substrate/sources.ts';
import type { Substrate } from './substrate/substrate.ts';
import { freeLapsed } from './substrate/tasks/tasks.ts';

const HOUSEKEEPING_MS = 60 * 60 * 1_000;

/** What is due now and then: retention, a sample of the database's size, a look at the log. The returned function ends it. */
export function keepHouse(
  substrate: Substrate,
  watchLog: (signal: AbortSignal) => Promise<void>,
  onError: (error: SeedError) => void,
): () => void {
  const ended = new AbortController();
  const round = async (): Promise<void> => {
    if (substrate.distrust !== null) return;
    const now = systemSources.now();
    await substrate.maintain((tx) => sampleGrowth(tx, now, substrate.size()));
    await freeLapsed(substrate);
    await sweepBus(substrate);
    await sweepMemory(substrate);
    await closeIdle(substrate);
    await eraseDueContent(substrate, now);
    await watchLog(ended.signal);
  };
  const begin = (): void => {
    round().catch((error: unknown) => {
      if (!ended.signal.aborted) onError(toSeedError(error));
    });
  };
  const first = setTimeout(begin, 1_000).unref();
  const others = setInterval(begin, HOUSEKEEPING_MS).unref();
  return () => {
    ended.abort();
    clearTimeout(first);
    clearInterval(others);
  };
}

/** A log that is not trusted keeps the mind from acting; that is told all the same, and leaves no receipt. */
export function tellDistrust(
  notifiers: Notifiers,
  substrate: Substrate,
  { message: says, hint: todo }: SeedError,
  onError: (error: SeedError) => void,
): () => void {
  const ended = new AbortController();
  const told = { v: 1, seed: substrate.seed, event: 'log', says, todo, time: isoTime(systemSources.now()) } as const;
  const tellAll = async (): Promise<void> => {
    const { notices } = await substrate.read(readPolicy);
    const wanted = (notices ?? []).filter(({ event }) => event === 'log');
    const tellings = await Promise.allSettled(
      wanted.map(({ notifier }) => notifiers.tell(notifier, told, ended.signal)),
    );
    for (const telling of tellings) if (telling.status === 'rejected') fail(telling.reason);
  };
  const fail = (error: unknown): void => {
    if (!ended.signal.aborted) onError(toSeedError(error));
  };
  tellAll().catch(fail);
  return () => ended.abort();
}

/**
 * Gives back what loading the modules left behind: V8 keeps some 20 MB of it for a busy time that an
 * idle daemon does not have, and collects it by itself only under pressure.
 */
export function releaseStartGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
