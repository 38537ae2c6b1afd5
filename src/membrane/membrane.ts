/**
 * The membrane: turns what a door was shown into an actor, or refuses it.
 *
 * Inbound only. It holds public keys and rows of grants; no credential of anybody it lets in.
 */
import type { Actor } from '../substrate/actor.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import {
  findGrant,
  isInForce,
  keyExpired,
  keyRevoked,
  noteGrantUse,
  seedHalted,
} from '../substrate/identity/grants.ts';
import type { Substrate } from '../substrate/substrate.ts';
import { readSwitch } from '../substrate/switches.ts';
import type { OpenAccessKey } from './access-key.ts';
import type { Found } from './lookup.ts';
import { actorOf, GrantLookup } from './lookup.ts';
import type { Cut } from './streams.ts';
import { OpenWork } from './streams.ts';

/** What a credential may do at most, where it was made for less than its grant; null for all of it. */
export type Only = ReadonlySet<string> | null;

/** What a bearer key says, apart from whether its grant is in force. */
export interface ShownKey {
  /** The id of its grant. */
  readonly grant: string;
  readonly only: Only;
  /** When the key itself expires, ms since the epoch; a token does long before its grant. */
  readonly expiresAt: number;
}

/** An actor with the grant behind it, as far as the credential that it showed goes. */
export interface Admitted {
  readonly actor: Actor;
  readonly grant: Grant;
  readonly only: Only;
  /** When what it came in by ends by itself, ms since the epoch; null for never. */
  readonly endsAt: number | null;
  /** Cuts off what the actor came in by, where that was registered. */
  readonly own?: Cut;
}

/** How long the use of grants is gathered before it is written. */
const USE_INTERVAL_MS = 15_000;

interface Use {
  readonly lastSeen: number;
  readonly calls: number;
}

export class Membrane {
  readonly #substrate: Substrate;
  readonly #open: OpenAccessKey;
  readonly #grants: GrantLookup;
  #use = new Map<string, Use>();
  #useTimer: NodeJS.Timeout | null = null;
  #useWritten: Promise<void> = Promise.resolve();
  /** Everything that is cut when its grant goes. */
  readonly work: OpenWork = new OpenWork();

  constructor(substrate: Substrate, open: OpenAccessKey) {
    this.#substrate = substrate;
    this.#open = open;
    this.#grants = new GrantLookup(substrate);
  }

  /**
   * What a bearer key says. Its signature was found good and it has not expired; whether its grant is
   * in force is for {@link admit} to look up, once what came in is registered under it.
   *
   * @throws SeedError `unauthenticated`, `key_expired`
   */
  openKey(token: string): ShownKey {
    const { jti, scope, narrowed, exp } = this.#open(token);
    return { grant: jti, only: narrowed === true ? new Set(scope.split(' ')) : null, expiresAt: exp * 1_000 };
  }

  /**
   * The actor of a bearer key, at this moment.
   *
   * @throws SeedError `key_revoked`, `key_expired`, `halted`, or why the log is not trusted
   */
  async admit({ grant, only, expiresAt }: ShownKey): Promise<Admitted> {
    const admitted = await this.#admit(() => this.#grants.find(grant), 'http', only);
    this.noteUse(admitted.grant);
    return { ...admitted, endsAt: Math.min(expiresAt, admitted.endsAt ?? expiresAt) };
  }

  /** The actor of a grant that came in before, at this moment. Looking again is no use of it. */
  readmit({ id, door }: Grant): Promise<Admitted> {
    return this.#admit(() => this.#grants.find(id), door, null);
  }

  /** As {@link readmit}, when this turn of the event loop is over: less work where many are looked up in one. */
  readmitAfterTurn({ id, door }: Grant): Promise<Admitted> {
    return this.#admit(() => this.#grants.findAfterTurn(id), door, null);
  }

  async #admit(find: () => Promise<Found | null>, door: Grant['door'], only: Only): Promise<Admitted> {
    // An older copy of the database may hold keys that were removed since.
    if (this.#substrate.distrust !== null) throw this.#substrate.distrust;
    const found = await find();
    if (found === null || found.grant.door !== door) throw keyRevoked();
    if (!isInForce(found.grant, this.#substrate.sources.now())) throw keyExpired();
    if (found.halted) throw seedHalted();
    const { expiresAt: endsAt } = found.grant;
    if (only === null) return { grant: found.grant, actor: found.actor, only, endsAt };
    const grant = { ...found.grant, scopes: found.grant.scopes.filter((scope) => only.has(scope)) };
    return { grant, actor: actorOf(grant), only, endsAt };
  }

  /** @throws SeedError `halted`, or why the log is not trusted: then nobody new is even looked at */
  async assertOpen(): Promise<void> {
    if (this.#substrate.distrust !== null) throw this.#substrate.distrust;
    if (await this.#substrate.read((db) => readSwitch(db, 'halted'))) throw seedHalted();
  }

  /** Cuts off what is open under grants that ended without being revoked: expired, or removed by hand. */
  async sweep(): Promise<number> {
    const now = this.#substrate.sources.now();
    const open = this.work.grants();
    if (open.length === 0) return 0;
    const ended = await this.#substrate.read(async (db) => {
      const found: string[] = [];
      for (const id of open) {
        const grant = await findGrant(db, id);
        if (grant === null || !isInForce(grant, now)) found.push(id);
      }
      return found;
    });
    return this.work.cut(ended);
  }

  /** Presence is gathered and written now and then: it needs no receipt and no fsync of its own. */
  noteUse({ id }: Grant): void {
    const before = this.#use.get(id);
    this.#use.set(id, { lastSeen: this.#substrate.sources.now(), calls: (before?.calls ?? 0) + 1 });
    this.#useTimer ??= setTimeout(() => {
      this.flushUse().catch(() => {
        // Presence is not worth an error; the next round tries again.
      });
    }, USE_INTERVAL_MS).unref();
  }

  /** Writes the gathered use of grants; resolves when all that was noted before the call is written. */
  flushUse(): Promise<void> {
    const write = (): Promise<void> => this.#writeUse();
    this.#useWritten = this.#useWritten.then(write, write);
    return this.#useWritten;
  }

  async #writeUse(): Promise<void> {
    if (this.#useTimer !== null) clearTimeout(this.#useTimer);
    this.#useTimer = null;
    const gathered = this.#use;
    if (gathered.size === 0) return;
    this.#use = new Map();
    await this.#substrate.maintain(async (tx) => {
      for (const [id, { lastSeen, calls }] of gathered) await noteGrantUse(tx, id, lastSeen, calls);
    });
  }
}
