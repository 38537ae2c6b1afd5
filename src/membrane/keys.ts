/**
 * Issuing and removing keys. Through any door a key can only be narrower and shorter than the one
 * it is issued under; only the owner's has no parent.
 */
import { SeedError } from '../errors.ts';
import type { Signer } from '../formats/checkpoint.ts';
import { isAcceptablePublicKey } from '../formats/ed25519.ts';
import type { Actor } from '../substrate/actor.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import {
  deleteGrantFamily,
  findGrant,
  findGrantByName,
  grantFamily,
  insertGrant,
  keyRevoked,
} from '../substrate/identity/grants.ts';
import { assertWithin } from '../substrate/identity/scopes.ts';
import { newId } from '../substrate/sources.ts';
import type { Operation, Substrate } from '../substrate/substrate.ts';
import { mintAccessKey } from './access-key.ts';
import type { Cut, OpenWork } from './streams.ts';

/** How long a key lasts unless said otherwise. */
export const KEY_MS_DEFAULT: number = 30 * 86_400_000;
/** Keys that may stand under one grant: each comes with limits of its own at the doors. */
const KEYS_UNDER_ONE_MAX = 100;

export interface IssueRequest {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly surface: Grant['surface'];
  /** From now; null for the usual time, or as long as the issuing grant lasts if that is less. */
  readonly lifetimeMs: number | null;
  /** The helper's own key, base64 of 32 bytes; without it a bearer key is made. */
  readonly publicKey: string | null;
}

export interface Issued {
  readonly grant: Grant;
  /** The bearer key, shown once and stored nowhere; null for a grant with a public key. */
  readonly key: string | null;
  readonly receipt: number;
}

/** @throws SeedError `invalid_input` unless it is base64 of a usable Ed25519 public key */
function assertPublicKey(text: string): void {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 32 && bytes.toString('base64') === text && isAcceptablePublicKey(new Uint8Array(bytes))) return;
  throw new SeedError('invalid_input', 'That is not a usable Ed25519 public key.', {
    hint: 'Give the 32 raw bytes in base64; a key of small order is not accepted.',
    data: { argument: 'public_key' },
  });
}

export interface KeyServiceOptions {
  readonly substrate: Substrate;
  readonly issuer: Signer;
  /** This seed's name as issuer, in the keys' `iss`. */
  readonly issuerName: string;
  /** The address that keys are for, in their `aud`. */
  readonly audience: string;
  /** What is open under grants; empty in a process without doors. */
  readonly work: OpenWork;
}

export class KeyService {
  readonly #options: KeyServiceOptions;

  constructor(options: KeyServiceOptions) {
    this.#options = options;
  }

  /** The address that keys are for. */
  get audience(): string {
    return this.#options.audience;
  }

  /** Where a helper with its own key gets tokens. */
  get tokenEndpoint(): string {
    return new URL('/oauth/token', this.#options.audience).href;
  }

  /** Cuts off everything that is open under any grant; returns how much that was. */
  cutEverything(): number {
    const { work } = this.#options;
    return work.cut(work.grants());
  }

  /**
   * Issues a key. An actor with a grant issues under it: no scope that it does not hold, no day
   * longer than its own, and only for a public key.
   *
   * @throws SeedError `forbidden`, `conflict`, `invalid_input`
   */
  async issue(actor: Actor, request: IssueRequest): Promise<Issued> {
    const { substrate } = this.#options;
    if (request.publicKey !== null) assertPublicKey(request.publicKey);
    else if (actor.grant !== null) throw bearerForOwnerOnly();
    const id = newId(substrate.sources);
    const action = actor.grant === null ? 'key.issue' : 'membrane.register';
    const { value: grant, seq } = await substrate.operate({ action, actor }, (op) =>
      this.#insert(op, actor, id, request),
    );
    return { grant, receipt: seq, key: request.publicKey === null ? this.mint(grant, null) : null };
  }

  async #insert(op: Operation, actor: Actor, id: string, request: IssueRequest): Promise<Grant> {
    op.receipt({ subject: { type: 'key', id }, detail: { name: request.name, scopes: request.scopes } });
    const parent = actor.grant === null ? null : await issuingGrant(op, actor.grant);
    const wanted = op.now + (request.lifetimeMs ?? KEY_MS_DEFAULT);
    if (parent !== null) {
      // Of the actor's own scopes too: a token that was narrowed must not widen itself through a child.
      assertWithin(request.scopes, new Set(parent.scopes.filter((scope) => actor.scopes.has(scope))));
      if (request.lifetimeMs !== null && wanted > (parent.expiresAt ?? wanted)) throw longerThanOwn();
    }
    const grant: Grant = {
      id,
      name: request.name,
      door: 'http',
      kind: 'helper',
      scopes: [...new Set(request.scopes)].toSorted(),
      surface: parent?.surface === 'daily' ? 'daily' : request.surface,
      parent: actor.grant,
      publicKey: request.publicKey,
      createdAt: op.now,
      expiresAt: Math.min(wanted, parent?.expiresAt ?? wanted),
    };
    await insertGrant(op, grant);
    return grant;
  }

  /**
   * The text of a key for a grant, valid until the grant expires or `until` (ms), if that is sooner;
   * with `only` it can do no more than these of the grant's scopes.
   */
  mint(grant: Grant, until: number | null, only: readonly string[] | null = null): string {
    const { substrate, issuer, issuerName, audience } = this.#options;
    const now = Math.floor(substrate.sources.now() / 1_000);
    const end = Math.min(grant.expiresAt ?? Number.POSITIVE_INFINITY, until ?? Number.POSITIVE_INFINITY);
    return mintAccessKey(
      {
        iss: issuerName,
        aud: audience,
        sub: grant.name,
        jti: grant.id,
        scope: (only ?? grant.scopes).join(' '),
        iat: now,
        nbf: now,
        exp: Math.floor(end / 1_000),
        ...(only === null ? {} : { narrowed: true as const }),
      },
      issuer,
    );
  }

  /** The grant of that id or name, for whoever asks. @throws SeedError `not_found` */
  async find(actor: Actor, door: Grant['door'], idOrName: string): Promise<Grant> {
    const { substrate } = this.#options;
    const grant = await substrate.read(
      async (db) => (await findGrant(db, idOrName)) ?? findGrantByName(db, door, idOrName),
    );
    if (grant !== null && grant.door === door) return grant;
    throw new SeedError('not_found', `There is no ${door === 'http' ? 'key' : 'agent'} "${idOrName.slice(0, 64)}".`, {
      hint:
        actor.grant !== null
          ? 'See membrane_list.'
          : door === 'http'
            ? await this.#hintForKey(idOrName)
            : 'See `seed agents list`.',
    });
  }

  /** A local agent, the seed's own organs among them, has no key that could be revoked. */
  async #hintForKey(name: string): Promise<string> {
    const agent = await this.#options.substrate.read((db) => findGrantByName(db, 'agent', name));
    return agent === null
      ? 'See `seed key list`.'
      : `It is a local agent: \`seed agents forget ${agent.name}\` shuts it out.`;
  }

  /**
   * Removes a grant with everything issued under it, and cuts off at once what is open under them.
   * An actor with a grant may remove what stands under its own, and itself; `own`, the call by
   * which it asks, is let end by itself then, so that it gets its answer.
   *
   * @throws SeedError `forbidden` or `not_found`
   */
  async revoke(
    actor: Actor,
    action: string,
    grant: Grant,
    own: Cut | null = null,
  ): Promise<{ removed: string[]; cut: number; receipt: number }> {
    const { substrate, work } = this.#options;
    const { value: removed, seq } = await substrate.operate({ action, actor }, async (op) => {
      op.receipt({ subject: { type: grant.door === 'http' ? 'key' : 'agent', id: grant.id } });
      if (actor.grant !== null && !(await grantFamily(op, actor.grant)).includes(grant.id)) throw notYours(grant.id);
      const family = await deleteGrantFamily(op, grant.id);
      if (family.length === 0) throw gone(grant.name);
      op.receipt({ detail: { name: grant.name, removed: family.length } });
      return family;
    });
    const cut = work.cut(removed, own);
    // An older copy of the database would bring the key back: what shows that it is old is kept now.
    substrate.flushCheckpoint();
    return { removed, cut, receipt: seq };
  }
}

/** The grant that a key is issued under. @throws SeedError `key_revoked`, or `busy` when it has too many */
async function issuingGrant(op: Operation, id: string): Promise<Grant> {
  const grant = await findGrant(op, id);
  if (grant === null) throw keyRevoked();
  if ((await grantFamily(op, id)).length <= KEYS_UNDER_ONE_MAX) return grant;
  throw new SeedError('busy', `${KEYS_UNDER_ONE_MAX} keys stand under yours already.`, {
    hint: 'Remove some with membrane_revoke.',
  });
}

function longerThanOwn(): SeedError {
  return new SeedError('forbidden', 'A key cannot last longer than the one it is issued under.', {
    hint: 'Leave expires_in_s out: then it lasts as long as yours, at most.',
    data: { argument: 'expires_in_s' },
  });
}

function bearerForOwnerOnly(): SeedError {
  return new SeedError('forbidden', 'Through a tool only a public key can be registered.', {
    hint: 'Make an Ed25519 key pair, keep the private key, and pass public_key.',
    data: { argument: 'public_key' },
  });
}

function notYours(id: string): SeedError {
  return new SeedError('forbidden', 'That key was not issued under yours.', {
    hint: 'See membrane_list for those that were.',
    data: { id },
  });
}

function gone(name: string): SeedError {
  return new SeedError('not_found', `The key "${name}" is gone already.`, { hint: 'There is nothing left to do.' });
}
