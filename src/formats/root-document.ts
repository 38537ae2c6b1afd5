/**
 * The form of one root document: its fields, their limits and its keys. What versions say about
 * one another, and who signed them, is in `root.ts`.
 */
import { fromBase64, type Sha256, toHex } from './bytes.ts';
import { isAcceptablePublicKey, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from './ed25519.ts';
import { FormatError } from './error.ts';
import { isTime } from './time.ts';

// Type aliases, not interfaces: only those are assignable to the index signature of `Json`.

/** One public key and until when it may be used. */
export type RootKey = {
  /** First 16 hex digits of SHA-256 over the 32 bytes of the key. */
  readonly id: string;
  /** The 32 bytes in base64. */
  readonly public: string;
  /** An instant, or null for no end. The kernel has no clock: whoever has one applies it. */
  readonly expires: string | null;
};

/** One key for one job: no key stands in two of the lists. */
export type RootKeys = {
  readonly root: readonly RootKey[];
  readonly log: readonly RootKey[];
  readonly issuer: readonly RootKey[];
};

export type SignedRoot = {
  readonly v: 1;
  /** From 1, one more each time. */
  readonly version: number;
  /** The seed's id; the same in all versions. */
  readonly seed: string;
  /** SHA-256 of the whole file of the version before; null in version 1. */
  readonly prev: string | null;
  readonly created: string;
  readonly expires: string | null;
  /** How many root keys must sign. */
  readonly threshold: number;
  /** SHA-256 of the raw bytes of a root key that the next version must have; null when open. */
  readonly next_root: string | null;
  readonly keys: RootKeys;
};

export type RootSignature = {
  /** Id of the root key, of this version or the one before. */
  readonly key: string;
  /** Ed25519 over the canonical form of `signed`, base64. */
  readonly sig: string;
};

export type RootDocument = {
  readonly signed: SignedRoot;
  readonly signatures: readonly RootSignature[];
};

const HASH = /^[0-9a-f]{64}$/;
const KEY_ID = /^[0-9a-f]{16}$/;
/** Of keys in one list, and of signatures. */
const ENTRIES_MAX = 32;

const SIGNED_FIELDS = ['created', 'expires', 'keys', 'next_root', 'prev', 'seed', 'threshold', 'v', 'version'];

type Fields = { readonly [key: string]: unknown };

/**
 * The value as a root document, if it has exactly that form and every key in it is sound.
 * @throws FormatError `bad_root` naming the field.
 */
export function checkRootDocument(value: unknown, sha: Sha256): RootDocument {
  const document = fields(value, ['signatures', 'signed'], 'root');
  const signed = fields(document['signed'], SIGNED_FIELDS, 'signed');
  checkHead(signed);
  const keys = fields(signed['keys'], ['issuer', 'log', 'root'], 'signed.keys');
  checkKeys(keys, sha);
  const rootKeys = list(keys['root'], 'signed.keys.root').length;
  const threshold = signed['threshold'];
  want(
    isCount(threshold) && threshold >= 1 && threshold <= rootKeys,
    'signed.threshold',
    'from 1 to the number of root keys',
  );
  checkSignatures(list(document['signatures'], 'signatures'));
  return value as RootDocument;
}

function checkHead(signed: Fields): void {
  want(signed['v'] === 1, 'signed.v', '1');
  const version = signed['version'];
  want(isCount(version) && version >= 1, 'signed.version', 'an integer from 1');
  want(isHash(signed['seed']), 'signed.seed', '64 hex digits');
  want(
    version === 1 ? signed['prev'] === null : isHash(signed['prev']),
    'signed.prev',
    'null in version 1, else 64 hex digits',
  );
  const {
    created,
    expires,
    next_root: nextRoot,
  } = signed as { readonly created: unknown; readonly expires: unknown; readonly next_root: unknown };
  want(isTime(created), 'signed.created', 'an instant');
  want(
    expires === null || (isTime(expires) && expires > (created as string)),
    'signed.expires',
    'null or a later instant',
  );
  want(nextRoot === null || isHash(nextRoot), 'signed.next_root', 'null or 64 hex digits');
}

function checkKeys(keys: Fields, sha: Sha256): void {
  const seen = new Set<unknown>();
  for (const role of ['root', 'log', 'issuer']) {
    const where = `signed.keys.${role}`;
    const entries = list(keys[role], where);
    want(entries.length >= (role === 'issuer' ? 0 : 1), where, 'at least one key');
    for (const [index, entry] of entries.entries()) {
      const key = fields(entry, ['expires', 'id', 'public'], `${where}[${index}]`);
      checkKey(key, `${where}[${index}]`, sha);
      want(!seen.has(key['id']), `${where}[${index}].id`, 'a key that has no other job');
      seen.add(key['id']);
    }
  }
}

function checkKey(key: Fields, where: string, sha: Sha256): void {
  const {
    id,
    public: encoded,
    expires,
  } = key as { readonly id: unknown; readonly public: unknown; readonly expires: unknown };
  const raw = typeof encoded === 'string' ? fromBase64(encoded) : null;
  want(
    raw !== null && raw.length === PUBLIC_KEY_BYTES && isAcceptablePublicKey(raw),
    `${where}.public`,
    'a sound Ed25519 public key in base64',
  );
  want(
    id === toHex(sha(raw as Uint8Array)).slice(0, 16),
    `${where}.id`,
    'the first 16 hex digits of the hash of the key',
  );
  want(expires === null || isTime(expires), `${where}.expires`, 'null or an instant');
}

function checkSignatures(signatures: readonly unknown[]): void {
  want(signatures.length >= 1, 'signatures', 'at least one signature');
  const seen = new Set<unknown>();
  for (const [index, entry] of signatures.entries()) {
    const { key, sig } = fields(entry, ['key', 'sig'], `signatures[${index}]`) as {
      readonly key: unknown;
      readonly sig: unknown;
    };
    want(typeof key === 'string' && KEY_ID.test(key) && !seen.has(key), `signatures[${index}].key`, "a key's id, once");
    const raw = typeof sig === 'string' ? fromBase64(sig) : null;
    want(raw !== null && raw.length === SIGNATURE_BYTES, `signatures[${index}].sig`, '64 bytes in base64');
    seen.add(key);
  }
}

function fields(value: unknown, names: readonly string[], where: string): Fields {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  want(
    isObject && Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name)),
    where,
    `an object with exactly ${names.join(', ')}`,
  );
  return value as Fields;
}

function list(value: unknown, where: string): readonly unknown[] {
  want(Array.isArray(value) && value.length <= ENTRIES_MAX, where, `a list of at most ${ENTRIES_MAX}`);
  return value as readonly unknown[];
}

function isHash(value: unknown): boolean {
  return typeof value === 'string' && HASH.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function want(condition: boolean, field: string, expected: string): void {
  if (!condition) throw new FormatError('bad_root', `${field} must be ${expected}.`, field);
}
