/**
 * The loop: perceives, decides, acts, rests.
 *
 * A wake is a hint (LOCK-MIND-1): a round reads durable state again, whatever woke it, and a wake that is
 * lost is made up for by the next round, a minute later at most. Wakes that come together make one round;
 * one that comes during a round makes another. It rests on a monotonic timer and looks at the wall clock
 * when it wakes, so a clock that jumps is noticed within that minute.
 */
import type { SeedError } from '../../errors.ts';
import { toSeedError } from '../../errors.ts';
import type { Pause } from '../../substrate/coherence/alarms.ts';
import { findService } from '../../substrate/identity/service.ts';
import { addDecision, moveCursor } from '../../substrate/mind/log.ts';
import { listOrganRows } from '../../substrate/mind/organs.ts';
import type { ReadHandle, Substrate } from '../../substrate/substrate.ts';
import { readSwitch } from '../../substrate/switches.ts';
import type { Sight } from '../organ.ts';
import type { Decision, OrganFacts } from '../rules.ts';
import { decide } from '../rules.ts';
import { perceive, sayNews, wakingOf } from './events.ts';
import type { Runs } from './runs.ts';
import type { Seat } from './seat.ts';
import { admit } from './seat.ts';
import type { Timers } from './timers.ts';

/** A rest at most; whatever was missed is found by then. */
export const REST_MS_MAX = 60_000;
/** However many wakes: so many rounds in so long. A few may follow each other at once, so that one alone never waits. */
const BURST_ROUNDS = 8;
const BURST_MS = 40;
/** After a round that could not be made, such as where the database cannot be read. */
const AFTER_ERROR_MS = 5_000;
/** The cursor is written down this often at most; what came since is perceived again after a crash. */
const CURSOR_MS_MIN = 1_000;
/** How late it may look at what happens all the time, such as calls to models. */
const SOON_MS = 5_000;
/** Rules whose decisions are of interest to whoever reads the log, when they begin to apply: to one, or to all at once. */
const NOTEWORTHY: ReadonlySet<string> = new Set(['orphaned', 'held', 'blind']);
const NOTEWORTHY_OF_ALL: ReadonlySet<string> = new Set(['paused', 'halted', 'distrusted']);
/** Stands for all of them in the log. */
const ALL = 'all';

export interface LoopParts {
  readonly substrate: Substrate;
  readonly seats: readonly Seat[];
  readonly runs: Runs;
  readonly timers: Timers;
  readonly onDefect: (error: SeedError) => void;
  /** What coherence brakes now; none while it only observes. */
  readonly brakes: (db: ReadHandle) => Promise<readonly Pause[]>;
  /** Whether the owner asked for rounds at this moment, which count although the mind is paused. */
  readonly isAsked: () => boolean;
}

/** What a round knows of one organ besides how its runs stand. */
interface SeatView {
  readonly seat: Seat;
  readonly isOn: boolean;
  readonly isNew: boolean;
  readonly isOrphan: boolean;
}

export class Loop {
  readonly #parts: LoopParts;
  /** The rounds, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #isRound = false;
  #isWoken = false;
  #stopped = false;
  #started = false;
  #cancelTimer: () => void = () => {};
  #isSoon = false;
  #cancelSoon: () => void = () => {};
  /** When the last few rounds began, the oldest first. */
  #began: readonly number[] = [];
  #beatAt: number;
  #restMs = 0;
  #rounds = 0;
  #unsubscribe: readonly (() => void)[] = [];
  #cursor: number | null = null;
  #cursorSaved: { seq: number | null; at: number } = { seq: null, at: Number.NEGATIVE_INFINITY };
  #last: readonly Decision[] = [];
  /** The rule of each organ's newest decision, so that one that goes on is logged once. */
  readonly #rules = new Map<string, string>();

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#beatAt = parts.timers.now();
  }

  /** When it last gave a sign of life, by the loop's timers. */
  get beatAt(): number {
    return this.#beatAt;
  }

  /** Whether a round is under way, or about to be. */
  get isTurning(): boolean {
    return this.#isRound || this.#isWoken;
  }

  get rounds(): number {
    return this.#rounds;
  }

  /** What it decided last, an organ each. */
  get last(): readonly Decision[] {
    return this.#last;
  }

  /** How long it rests from its last round on, ms. */
  get restMs(): number {
    return this.#restMs;
  }

  /** Begins to turn by itself. */
  start(): void {
    const { substrate } = this.#parts;
    this.#started = true;
    this.#unsubscribe = [
      substrate.onChange((action) => {
        const waking = wakingOf(action);
        if (waking === 'now') this.wake();
        else if (waking === 'soon') this.#wakeSoon();
      }),
      substrate.mail.onArrival((holder) => {
        if (holder === 'seed') this.wake();
      }),
    ];
    this.wake();
  }

  /** Asks for a round soon. It is a hint, and costs next to nothing. */
  wake(): void {
    if (this.#stopped || !this.#started || this.#isWoken) return;
    this.#isWoken = true;
    if (!this.#isRound) this.#schedule();
  }

  /** Asks for a round within some seconds: one for all who asked until then. */
  #wakeSoon(): void {
    if (this.#stopped || this.#isSoon) return;
    this.#isSoon = true;
    this.#cancelSoon = this.#parts.timers.after(SOON_MS, () => {
      this.#isSoon = false;
      this.wake();
    });
  }

  /** Makes a round now, after the one that is under way; resolves to what was decided. */
  async round(): Promise<readonly Decision[]> {
    const mine = this.#turn.then(() => this.#round());
    this.#turn = mine.catch(() => {});
    return mine;
  }

  /** Ends it: nothing is begun from now on. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer();
    this.#cancelSoon();
    for (const undo of this.#unsubscribe) undo();
    this.#unsubscribe = [];
  }

  /** Writes down how far it perceived. */
  async saveCursor(): Promise<void> {
    const seq = this.#cursor;
    if (seq === null || seq === this.#cursorSaved.seq) return;
    this.#cursorSaved = { seq, at: this.#parts.timers.now() };
    await this.#parts.substrate.maintain((tx) => moveCursor(tx, seq));
  }

  #schedule(): void {
    this.#cancelTimer();
    const [oldest = 0] = this.#began.length < BURST_ROUNDS ? [Number.NEGATIVE_INFINITY] : this.#began;
    const waitMs = Math.max(0, oldest + BURST_MS - this.#parts.timers.now());
    this.#cancelTimer = this.#parts.timers.after(waitMs, () => void this.round().catch(() => {}));
  }

  async #round(): Promise<readonly Decision[]> {
    const { timers, onDefect } = this.#parts;
    if (this.#stopped) return [];
    this.#isRound = true;
    this.#isWoken = false;
    this.#cancelTimer();
    this.#beatAt = timers.now();
    this.#began = [...this.#began.slice(1 - BURST_ROUNDS), this.#beatAt];
    this.#rounds += 1;
    try {
      this.#last = await this.#perceiveDecideAct();
      return this.#last;
    } catch (thrown) {
      this.#restMs = AFTER_ERROR_MS;
      onDefect(toSeedError(thrown));
      throw thrown;
    } finally {
      this.#isRound = false;
      this.#beatAt = timers.now();
      if (this.#isAlive()) this.#rest();
    }
  }

  #isAlive(): boolean {
    return this.#started && !this.#stopped;
  }

  #rest(): void {
    if (this.#isWoken) this.#schedule();
    else this.#cancelTimer = this.#parts.timers.after(this.#restMs, () => this.wake());
  }

  async #perceiveDecideAct(): Promise<readonly Decision[]> {
    const { substrate, brakes, runs, isAsked } = this.#parts;
    const now = substrate.sources.now();
    const { distrust } = substrate;
    const news = await perceive(substrate, this.#cursor);
    const { views, ...seed } = await substrate.read(async (db) => ({
      halted: await readSwitch(db, 'halted'),
      paused: await readSwitch(db, 'mind_paused'),
      brakes: await brakes(db),
      views: await this.#viewSeats(db),
    }));
    const organs: OrganFacts[] = [];
    const mayAct = distrust === null && !seed.halted && (!seed.paused || isAsked());
    for (const view of views) organs.push(await this.#look(view, { now, mayAct }));
    const facts = {
      ...seed,
      now,
      distrust: distrust?.message ?? null,
      once: isAsked(),
      organs,
      news: sayNews(news.counts),
    };
    const decisions = decide(facts);
    if (this.#stopped) return [];
    for (const [index, decision] of decisions.entries()) {
      const view = views[index];
      if (decision.act === 'run' && view !== undefined) {
        runs.begin(view.seat.organ, decision.because);
      } else if (decision.act === 'stop') runs.stop(decision.organ, decision.because);
    }
    this.#restMs = news.more ? 0 : restMs(organs, now);
    this.#cursor = news.cursor;
    await this.#writeDown(decisions, now);
    return decisions;
  }

  async #viewSeats(db: ReadHandle): Promise<SeatView[]> {
    const rows = new Map((await listOrganRows(db)).map((row) => [row.name, row]));
    const views: SeatView[] = [];
    for (const seat of this.#parts.seats) {
      const { name } = seat.organ;
      const row = rows.get(name);
      const isNew = seat.scopes.length > 0 && row?.admitted !== 1;
      const hasGrant = seat.scopes.length === 0 || isNew || (await findService(db, name)) !== null;
      views.push({ seat, isNew, isOn: row === undefined ? seat.isOn : row.is_on === 1, isOrphan: !hasGrant });
    }
    return views;
  }

  async #look(
    { seat, isOn, isNew, isOrphan }: SeatView,
    { now, mayAct }: { now: number; mayAct: boolean },
  ): Promise<OrganFacts> {
    const { runs } = this.#parts;
    const { name } = seat.organ;
    const backOff = runs.backOff(name);
    const isRunning = runs.isRunning(name);
    const asks = isOn && !isOrphan && !isRunning && backOff.ms === 0;
    const { sight, blind } = asks
      ? await this.#sightOf(seat, { now, admits: isNew && mayAct })
      : { sight: null, blind: null };
    if (sight?.waiting === 0) runs.rested(name);
    return {
      name,
      isOn,
      isOrphan,
      isRunning,
      sight,
      blind,
      backOffMs: backOff.ms,
      backOffWhy: backOff.why,
      takesWorkOn: seat.takesWorkOn,
    };
  }

  /**
   * What an organ sees; a view of its own, so that one that cannot look blinds no other. One that has something
   * to do for the first time is given its grant, and looks again.
   */
  async #sightOf(
    { organ, ...traits }: Seat,
    { now, admits }: { now: number; admits: boolean },
  ): Promise<{ sight: Sight | null; blind: string | null }> {
    const { substrate } = this.#parts;
    const look = (): Promise<Sight> => substrate.read((db) => organ.look(db, now));
    try {
      const sight = await look();
      if (!admits || sight.waiting === 0) return { sight, blind: null };
      await admit(substrate, { ...traits, name: organ.name });
      return { sight: await look(), blind: null };
    } catch (thrown) {
      const error = toSeedError(thrown);
      await this.#parts.runs.failed(organ.name, error);
      return { sight: null, blind: error.message };
    }
  }

  /** The decisions that say something new, and how far was perceived. Runs write their own. */
  async #writeDown(decisions: readonly Decision[], now: number): Promise<void> {
    const { substrate, timers } = this.#parts;
    const fresh = decisions.filter(({ organ, rule }) => this.#rules.get(organ) !== rule);
    for (const { organ, rule } of fresh) this.#rules.set(organ, rule);
    if (substrate.distrust !== null) return;
    const ofAll = fresh.filter(({ rule }) => NOTEWORTHY_OF_ALL.has(rule)).slice(0, 1);
    const told = [
      ...ofAll.map((decision) => ({ ...decision, organ: ALL, act: 'rest' })),
      ...fresh.filter(({ act, rule }) => act === 'stop' || (act === 'rest' && NOTEWORTHY.has(rule))),
    ];
    if (told.length > 0) {
      await substrate.maintain(async (tx) => {
        for (const { organ, act, because } of told) await addDecision(tx, { at: now, organ, act, because });
      });
    }
    if (this.#cursor !== this.#cursorSaved.seq && timers.now() - this.#cursorSaved.at >= CURSOR_MS_MIN) {
      await this.saveCursor();
    }
  }
}

/** How long there is nothing to look for: until the first thing that the clock brings. */
function restMs(organs: readonly OrganFacts[], now: number): number {
  const nexts = organs.flatMap(({ sight, backOffMs }) => [
    ...(sight === null || sight.nextAt === null ? [] : [sight.nextAt - now]),
    ...(backOffMs > 0 ? [backOffMs] : []),
  ]);
  return Math.max(0, Math.min(REST_MS_MAX, ...nexts));
}
