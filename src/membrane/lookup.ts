/**
 * Grants as the doors look them up: each is read once, until any grant or switch may have changed.
 *
 * Every request looks, and nearly every one finds what the one before found. What can change it
 * is a commit: our own, where the writer counts those that wrote a grant or a switch, or another
 * program's, which SQLite counts. Neither can go by unseen, so what is kept is as good as what
 * would be read. An operation reads the grant itself, in its transaction.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Actor } from '../substrate/actor.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import { findGrant } from '../substrate/identity/grants.ts';
import type { Substrate } from '../substrate/substrate.ts';
import { readSwitch } from '../substrate/switches.ts';

/** A grant with its actor, and whether the owner has halted the seed: all as of one view. */
export interface Found {
  readonly grant: Grant;
  readonly actor: Actor;
  readonly halted: boolean;
}

/** Grants that are kept; past it, all are read anew. */
const KEPT_MAX = 1_000;

export function actorOf(grant: Grant): Actor {
  return { id: grant.name, kind: grant.kind, grant: grant.id, scopes: new Set(grant.scopes) };
}

/** What of the substrate a look needs. */
export type CommittedState = Pick<Substrate, 'accessVersion' | 'foreignVersion' | 'read'>;

export class GrantLookup {
  readonly #substrate: CommittedState;
  #access = -1;
  #foreign = -1;
  /** Asked when this turn of the event loop is over, for all who wait for it. */
  #asking: Promise<number> | null = null;
  #kept = new Map<string, Found>();

  constructor(substrate: CommittedState) {
    this.#substrate = substrate;
  }

  /** The grant with that id as last committed, in force or not; null when there is none. */
  async find(id: string): Promise<Found | null> {
    return this.#findAsOf(this.#substrate.foreignVersion(), id);
  }

  /**
   * As {@link find}, when this turn of the event loop is over. To ask whether another program committed
   * costs system calls, so it is asked once for all who look in one turn, after the last of them has come.
   */
  async findAfterTurn(id: string): Promise<Found | null> {
    this.#asking ??= this.#askAfterTurn();
    return this.#findAsOf(await this.#asking, id);
  }

  async #askAfterTurn(): Promise<number> {
    await nextTurn();
    this.#asking = null;
    return this.#substrate.foreignVersion();
  }

  async #findAsOf(foreign: number, id: string): Promise<Found | null> {
    const access = this.#substrate.accessVersion();
    if (access !== this.#access || foreign !== this.#foreign || this.#kept.size >= KEPT_MAX) {
      this.#access = access;
      this.#foreign = foreign;
      this.#kept = new Map();
    }
    const kept = this.#kept;
    const known = kept.get(id);
    if (known !== undefined) return known;
    // Kept under the state of before the read: what is read can only be of that state or a later one.
    const found = await this.#substrate.read(async (db) => {
      const grant = await findGrant(db, id);
      return grant === null ? null : { grant, actor: actorOf(grant), halted: await readSwitch(db, 'halted') };
    });
    if (found !== null) kept.set(id, found);
    return found;
  }
}
