/**
 * The prober: looks at work outside the seed, and leaves when something was done there to coherence.
 *
 * When a probe was looked at is kept in memory: a look costs little, repeats nothing, and a quiet one should
 * write nothing. After a start all of them are looked at. A place that cannot be read is a state of its probe,
 * in words, and no failure of the organ.
 */
import { toSeedError } from '../../errors.ts';
import type { Probe } from '../../substrate/probes/model.ts';
import { reasonOf } from '../../substrate/probes/model.ts';
import type { Looked } from '../../substrate/probes/probes.ts';
import { keepLook, listProbes } from '../../substrate/probes/probes.ts';
import type { Substrate } from '../../substrate/substrate.ts';
import { PROBES } from '../coherence/probes/index.ts';
import type { Organ, OrganReport, OrganRun } from '../organ.ts';

/** Probes that one run looks at. */
const PROBES_A_RUN_MAX = 10;
/** Longer than any one look may take. */
const SILENCE_MS_MAX = 60_000;
/** A look that found nothing is written down only this long after the last that was. */
const QUIET_MS = 6 * 3_600_000;

export interface ProberOptions {
  readonly substrate: Substrate;
}

export function createProber({ substrate }: ProberOptions): Organ {
  const prober = new Prober(substrate);
  return {
    name: 'prober',
    purpose: 'Looks at work outside the seed, and sees when something was done there.',
    silenceMsMax: SILENCE_MS_MAX,
    look: async (db, now) => {
      const due = (await listProbes(db)).map((probe) => prober.dueAt(probe, now));
      const waiting = due.filter((at) => at <= now).length;
      const later = due.filter((at) => at > now);
      return { waiting, nextAt: later.length === 0 ? null : Math.min(...later), held: null };
    },
    hurry: () => prober.hurry(),
    run: (run) => prober.run(run),
  };
}

class Prober {
  readonly #substrate: Substrate;
  /** When each probe was looked at by this process; a probe that was removed and added again is another. */
  readonly #looked = new Map<string, number>();

  constructor(substrate: Substrate) {
    this.#substrate = substrate;
  }

  /** When a probe is to be looked at. A clock that was set back does not put it off. */
  dueAt(probe: Probe, now: number): number {
    const looked = this.#looked.get(keyOf(probe));
    return looked === undefined || looked > now ? now : looked + probe.everyMs;
  }

  /** Each probe is to be looked at now, as after a start. */
  hurry(): void {
    this.#looked.clear();
  }

  async run({ signal, alive }: OrganRun): Promise<OrganReport> {
    const { sources } = this.#substrate;
    const probes = await this.#substrate.read(listProbes);
    this.#forget(probes);
    const due = probes.filter((probe) => this.dueAt(probe, sources.now()) <= sources.now());
    const said: string[] = [];
    const defects: unknown[] = [];
    let done = 0;
    for (const probe of due.slice(0, PROBES_A_RUN_MAX)) {
      if (signal.aborted) break;
      alive();
      try {
        said.push(...(await this.#look(probe, { signal, alive })));
      } catch (error) {
        // Nothing that a place is expected to be: told once the others were looked at, which it must not hold up.
        defects.push(error);
      }
      done++;
    }
    if (defects.length > 0) throw defects[0];
    return { done, more: due.length > done, says: said.length === 0 ? null : said.join(' ') };
  }

  async #look(probe: Probe, run: Pick<OrganRun, 'signal' | 'alive'>): Promise<string[]> {
    const { sources } = this.#substrate;
    const at = sources.now();
    const before = this.#looked.get(keyOf(probe)) ?? null;
    this.#looked.set(keyOf(probe), at);
    const looked = await this.#read(probe, at, run);
    if (looked === null) {
      // Stopped in the middle: nothing was found out.
      if (before === null) this.#looked.delete(keyOf(probe));
      else this.#looked.set(keyOf(probe), before);
      return [];
    }
    const { problem, times, cursor } = looked;
    const isQuiet = times.length === 0 && cursor === probe.cursor && problem?.says === probe.problem?.says;
    if (isQuiet && at - (probe.lookedAt ?? 0) < QUIET_MS) return [];
    const added = await this.#substrate.maintain((tx) => keepLook(tx, probe, looked));
    if (added === null) return [];
    if (problem !== null) return problem.says === probe.problem?.says ? [] : [`${probe.name}: ${problem.says}`];
    const back = probe.problem === null ? [] : [`${probe.name} can be read again.`];
    return added === 0 ? back : [...back, `${probe.name}: ${added} new completion${added === 1 ? '' : 's'}.`];
  }

  async #read(probe: Probe, at: number, { signal, alive }: Pick<OrganRun, 'signal' | 'alive'>): Promise<Looked | null> {
    const { kind, place, spec, cursor } = probe;
    try {
      const { driver } = this.#substrate;
      const sighting = await PROBES[kind].read({ place, spec, cursor, now: at, driver, signal, alive });
      return { at, problem: null, ...sighting };
    } catch (thrown) {
      if (signal.aborted) return null;
      const error = toSeedError(thrown);
      const reason = reasonOf(error);
      if (reason === null) throw error;
      return { at, times: [], cursor, problem: { reason, says: `${error.message} ${error.hint}` } };
    }
  }

  /** Drops what is known of probes that are there no more. */
  #forget(probes: readonly Probe[]): void {
    const present = new Set(probes.map(keyOf));
    for (const key of this.#looked.keys()) if (!present.has(key)) this.#looked.delete(key);
  }
}

function keyOf({ name, addedAt }: Probe): string {
  return `${name} ${addedAt}`;
}
