/**
 * The root of trust: `root/<version>.json`, one line of canonical JSON each, without newline.
 *
 * Version 1 makes the seed's id. Each later version is signed by enough root keys of the version
 * before it and by enough of its own, and shows one root key that the version before announced by
 * hash, if it announced one. Whoever pins any one version can follow the chain from there.
 */
import { fromBase64, type Sha256, sha256, toBase64, toHex, utf8 } from './bytes.ts';
import { canonicalize, parseCanonical } from './canonical.ts';
import type { Signer } from './checkpoint.ts';
import { type VerifySignature, verifySignature } from './ed25519.ts';
import { FormatError } from './error.ts';
import {
  checkRootDocument,
  type RootDocument,
  type RootKey,
  type RootKeys,
  type RootSignature,
  type SignedRoot,
} from './root-document.ts';

export type { RootDocument, RootKey, RootKeys, SignedRoot } from './root-document.ts';

/** What a new version says, apart from what follows from the version before it. */
export interface RootContent {
  readonly created: string;
  readonly expires: string | null;
  readonly threshold: number;
  readonly next_root: string | null;
  readonly keys: RootKeys;
}

export interface BuildRootOptions {
  /** File text of the version before; absent for version 1. */
  readonly previous?: string;
  /** Root keys of this version, and of the one before if there is one. */
  readonly signers: readonly Signer[];
  readonly sha?: Sha256;
}

export interface RootChain {
  /** The seed's id. */
  readonly seed: string;
  /** The newest version. */
  readonly current: RootDocument;
  /** All versions, oldest first. */
  readonly versions: readonly RootDocument[];
  /** The newest version's log keys, raw. */
  readonly logKeys: readonly Uint8Array[];
  /** Log keys of every version: an older one may have signed a checkpoint that somebody kept. */
  readonly everyLogKey: readonly Uint8Array[];
  /** The newest version's issuer keys, raw. */
  readonly issuerKeys: readonly Uint8Array[];
}

export interface RootChainOptions {
  /** Exact file text of the version that the verifier trusts from elsewhere. */
  readonly pinned?: string;
  readonly sha?: Sha256;
  /** Asked of acceptable keys alone. */
  readonly verify?: VerifySignature;
}

const VERSIONS_MAX = 1000;

/** A key's entry in a root document. */
export function rootKey(publicKey: Uint8Array, expires: string | null = null, sha: Sha256 = sha256): RootKey {
  return { id: rootKeyId(publicKey, sha), public: toBase64(publicKey), expires };
}

/** First 16 hex digits of SHA-256 over the raw key. */
export function rootKeyId(publicKey: Uint8Array, sha: Sha256 = sha256): string {
  return toHex(sha(publicKey)).slice(0, 16);
}

/** SHA-256 of `signed` without its `seed`: the id of the seed that a version 1 makes. */
export function seedIdOf(signed: Omit<SignedRoot, 'seed'>, sha: Sha256 = sha256): string {
  const { seed: _, ...rest } = signed as SignedRoot;
  return toHex(sha(utf8(canonicalize(rest))));
}

/**
 * The file text of a new version, signed.
 * @throws FormatError `bad_root` when the result would not parse or would not follow its predecessor.
 */
export function buildRoot(content: RootContent, options: BuildRootOptions): string {
  const { previous, signers, sha = sha256 } = options;
  const before = previous === undefined ? null : parseRoot(previous, sha).signed;
  const unnamed = {
    ...content,
    v: 1 as const,
    version: (before?.version ?? 0) + 1,
    prev: previous === undefined ? null : fileHash(previous, sha),
  };
  const signed: SignedRoot = { ...unnamed, seed: before?.seed ?? seedIdOf(unnamed, sha) };
  const bytes = utf8(canonicalize(signed));
  const signatures = signers.map((signer) => ({
    key: rootKeyId(signer.publicKey, sha),
    sig: toBase64(signer.sign(bytes)),
  }));
  const document: RootDocument = { signed, signatures };
  checkStep(
    checkRootDocument(document, sha),
    { signed: before, file: previous ?? null },
    { sha, verify: verifySignature },
  );
  return canonicalize(document);
}

/**
 * The document of a file text: its form, its keys and, for version 1, its id. Signatures are
 * verified by {@link verifyRootChain}, since they need the version before.
 * @throws FormatError `bad_root`, naming the field, or `not_canonical`.
 */
export function parseRoot(text: string, sha: Sha256 = sha256): RootDocument {
  const document = checkRootDocument(parseCanonical(text), sha);
  if (document.signed.version === 1 && document.signed.seed !== seedIdOf(document.signed, sha)) {
    throw bad("The seed's id is not the hash of its root of trust.", 'signed.seed');
  }
  return document;
}

/**
 * Verifies versions 1 to n, given as exact file texts in that order.
 * @throws FormatError `bad_root` naming the version, with field `pinned` when the chain is good
 * but is not the one that was pinned; `bad_signature` or `not_canonical`.
 */
export function verifyRootChain(files: readonly string[], options: RootChainOptions = {}): RootChain {
  const { pinned, sha = sha256, verify = verifySignature } = options;
  if (files.length === 0 || files.length > VERSIONS_MAX)
    throw bad(`A root of trust has 1 to ${VERSIONS_MAX} versions.`, null);
  const versions: RootDocument[] = [];
  for (const file of files) {
    const document = parseRoot(file, sha);
    const before = { signed: versions.at(-1)?.signed ?? null, file: files[versions.length - 1] ?? null };
    checkStep(document, before, { sha, verify });
    versions.push(document);
  }
  const [first, current] = [versions[0] as RootDocument, versions.at(-1) as RootDocument];
  if (pinned !== undefined && !files.includes(pinned)) {
    throw bad('The root of trust is not the one that was pinned.', 'pinned');
  }
  return {
    seed: first.signed.seed,
    current,
    versions,
    logKeys: rawKeys(current.signed.keys.log),
    everyLogKey: rawKeys(versions.flatMap(({ signed }) => signed.keys.log)),
    issuerKeys: rawKeys(current.signed.keys.issuer),
  };
}

/** The version before and its file; null for version 1. */
interface Before {
  readonly signed: SignedRoot | null;
  readonly file: string | null;
}

interface Crypto {
  readonly sha: Sha256;
  readonly verify: VerifySignature;
}

/** One version after another. */
function checkStep({ signed, signatures }: RootDocument, before: Before, { sha, verify }: Crypto): void {
  const where = `version ${signed.version}`;
  if (signed.version !== (before.signed?.version ?? 0) + 1) {
    throw bad('The versions of the root of trust have a gap.', where);
  }
  if (signed.prev !== (before.file === null ? null : fileHash(before.file, sha))) {
    throw bad('A version of the root of trust does not follow the one before it.', `${where}: signed.prev`);
  }
  if (before.signed !== null) checkContinuity(signed, before.signed, where, sha);
  const signedBy = before.signed === null ? [signed] : [before.signed, signed];
  checkSignatures(canonicalize(signed), signatures, { signedBy, where, verify });
}

function checkContinuity(signed: SignedRoot, before: SignedRoot, where: string, sha: Sha256): void {
  if (signed.seed !== before.seed)
    throw bad('A version of the root of trust is of another seed.', `${where}: signed.seed`);
  if (signed.created < before.created)
    throw bad('A version is older than the one before it.', `${where}: signed.created`);
  const announced = before.next_root;
  if (announced !== null && !rawKeys(signed.keys.root).some((key) => toHex(sha(key)) === announced)) {
    throw bad('No root key is the one that the version before announced.', `${where}: signed.keys.root`);
  }
}

/**
 * Every signature must be good, not only enough of them: one that nobody checks could be altered
 * unseen. Each version named must have its threshold among them.
 */
function checkSignatures(
  text: string,
  signatures: readonly RootSignature[],
  { signedBy, where, verify }: { signedBy: readonly SignedRoot[]; where: string; verify: VerifySignature },
): void {
  const message = utf8(text);
  const counted = signedBy.map(() => 0);
  for (const { key: id, sig } of signatures) {
    // Looked up in each version by itself: an id is short, and a made-up key may share one.
    const keys = signedBy.map((version) => version.keys.root.find((key) => key.id === id));
    const named = keys.filter((key) => key !== undefined);
    if (named.length === 0 || !named.every((key) => verify(rawBytes(sig), message, rawBytes(key.public)))) {
      throw new FormatError('bad_signature', 'A signature of the root of trust does not verify.', `${where}: ${id}`);
    }
    for (const [index, key] of keys.entries()) if (key !== undefined) counted[index] = (counted[index] ?? 0) + 1;
  }
  if (signedBy.some(({ threshold }, index) => (counted[index] ?? 0) < threshold)) {
    throw new FormatError('bad_signature', 'The root of trust is signed by too few of its keys.', where);
  }
}

function fileHash(text: string, sha: Sha256): string {
  return toHex(sha(utf8(text)));
}

function rawKeys(keys: readonly RootKey[]): Uint8Array[] {
  return [...new Set(keys.map((key) => key.public))].map(rawBytes);
}

function rawBytes(base64: string): Uint8Array {
  return fromBase64(base64) ?? new Uint8Array();
}

function bad(message: string, field: string | null): FormatError {
  return new FormatError('bad_root', message, field);
}
