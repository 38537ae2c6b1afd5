/**
 * A log made in memory, as an export of a seed would be: keys, roots, receipts, checkpoint. The
 * same arguments always make the same log. Tests tamper with it and ask for the verdict.
 */
import { createHash, createPrivateKey, createPublicKey, hash, type KeyObject, sign } from 'node:crypto';
import { concat, type Sha256, utf8 } from '../../src/formats/bytes.ts';
import { checkpointSigner, originOf, type Signer } from '../../src/formats/checkpoint.ts';
import { CompactRange, inclusionRanges, leafHash, nodeHash } from '../../src/formats/merkle.ts';
import { formatProof } from '../../src/formats/proof.ts';
import { encodeReceipt, GENESIS_PREV, type Receipt, receiptHash } from '../../src/formats/receipt.ts';
import { buildRoot, parseRoot, type RootContent, rootKey } from '../../src/formats/root.ts';
import { createLogVerifier, type Verdict } from '../../src/formats/verify.ts';

/** Node's one-shot SHA-256, as a server hands it in. */
export const nodeSha: Sha256 = (bytes) => hash('sha256', bytes, 'buffer');

export interface TestKey extends Signer {
  readonly privateKey: KeyObject;
}

/** The Ed25519 key that belongs to a name. */
export function testKey(name: string): TestKey {
  const secret = createHash('sha256').update(`sovereign-seed test key ${name}`).digest();
  return keyOfSecret(secret);
}

/** The Ed25519 key of a 32-byte secret (RFC 8410 §7 around it). */
export function keyOfSecret(secret: Uint8Array): TestKey {
  const der = concat(Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32]), secret);
  const privateKey = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    privateKey,
    publicKey: new Uint8Array(spki.subarray(-32)),
    sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)),
  };
}

/** What a verifier is given. */
export interface TestExport {
  readonly roots: readonly string[];
  readonly checkpoint: string;
  /** `receipts.jsonl`. */
  readonly file: Uint8Array;
}

export interface TestLog extends TestExport {
  readonly seed: string;
  readonly origin: string;
  readonly lines: readonly string[];
  readonly receipts: readonly Receipt[];
  readonly rootKey: TestKey;
  readonly logKey: TestKey;
}

export interface BuildLogOptions {
  /** Number of receipts. */
  readonly size?: number;
  /** Another name makes other keys and another seed. */
  readonly name?: string;
  /** Number of versions of the root of trust; each changes the root and the log key. */
  readonly versions?: number;
  /** What this log's receipts say otherwise than {@link sampleReceipt}. */
  readonly receipt?: (seq: number) => Partial<Receipt>;
}

export function buildLog(options: BuildLogOptions = {}): TestLog {
  const { size = 12, name = 'home', versions = 1, receipt = () => ({}) } = options;
  const { roots, seed } = buildRoots(name, versions);
  const receipts = chained(
    Array.from({ length: size }, (_, seq) => ({ ...sampleReceipt(seed, seq), ...receipt(seq) })),
  );
  const keys = { rootKey: testKey(`${name} root ${versions}`), logKey: testKey(`${name} log ${versions}`) };
  return { ...seal(receipts, { roots, seed, logKey: keys.logKey }), ...keys };
}

/** Versions 1 to n of a root of trust, file texts, and the id that they make. */
export function buildRoots(name: string, versions: number): { roots: string[]; seed: string } {
  const roots: string[] = [];
  for (let version = 1; version <= versions; version++) {
    const previous = roots.at(-1);
    const signers = [testKey(`${name} root ${version}`)];
    if (previous !== undefined) signers.unshift(testKey(`${name} root ${version - 1}`));
    roots.push(buildRoot(rootContent(name, version), { signers, ...(previous === undefined ? {} : { previous }) }));
  }
  return { roots, seed: parseRoot(roots[0] ?? '').signed.seed };
}

export function rootContent(name: string, version: number): RootContent {
  return {
    created: `2026-11-21T06:00:${String(version).padStart(2, '0')}.000Z`,
    expires: null,
    threshold: 1,
    next_root: Buffer.from(nodeSha(testKey(`${name} root ${version + 1}`).publicKey)).toString('hex'),
    keys: {
      root: [rootKey(testKey(`${name} root ${version}`).publicKey)],
      log: [rootKey(testKey(`${name} log ${version}`).publicKey)],
      issuer: [rootKey(testKey(`${name} issuer`).publicKey, '2030-01-01T00:00:00.000Z')],
    },
  };
}

/** Every third receipt is an intent that the next one settles. `prev` is still to be filled in. */
export function sampleReceipt(seed: string, seq: number): Receipt {
  const settles = seq % 3 === 2;
  return {
    v: 1,
    seed,
    seq,
    prev: GENESIS_PREV,
    of: settles ? seq - 1 : null,
    time: new Date(Date.UTC(2026, 10, 21, 7) + 1000 * seq).toISOString(),
    actor: { id: 'cursor', kind: 'agent', grant: seq % 2 === 0 ? null : 'grant_1' },
    action: seq % 3 === 0 ? 'memory.write' : 'route.attempt',
    subject: { type: 'model', id: seq % 4 === 0 ? 'müller 🌱' : `model_${seq}` },
    outcome: (['ok', 'intent', 'failed'] as const)[seq % 3] ?? 'ok',
    code: settles ? 'provider_failed' : null,
    input: Buffer.from(nodeSha(utf8(`input ${seq}`))).toString('hex'),
    output: settles ? null : Buffer.from(nodeSha(utf8(`output ${seq}`))).toString('hex'),
    detail: seq % 2 === 0 ? {} : { tokens_in: 12 * seq, note: 'a "quoted"\tword', parts: [1, null, { a: '' }] },
  };
}

/** The same receipts with `seq` and `prev` made to fit their order. */
export function chained(receipts: readonly Receipt[]): Receipt[] {
  let prev = GENESIS_PREV;
  return receipts.map((receipt, seq) => {
    const fitted = { ...receipt, seq, prev };
    prev = receiptHash(encodeReceipt(fitted), nodeSha);
    return fitted;
  });
}

/** An export of just these receipts, right or wrong, under a checkpoint signed with the key given. */
export function seal(
  receipts: readonly Receipt[],
  { roots, seed, logKey }: { readonly roots: readonly string[]; readonly seed: string; readonly logKey: Signer },
): Omit<TestLog, 'rootKey' | 'logKey'> {
  const lines = receipts.map(encodeReceipt);
  const origin = originOf(seed);
  return { seed, origin, roots, receipts, lines, file: fileOf(lines), checkpoint: checkpointOf(lines, origin, logKey) };
}

/** `receipts.jsonl` of these lines. */
export function fileOf(lines: readonly string[]): Uint8Array {
  return utf8(lines.map((line) => `${line}\n`).join(''));
}

export function checkpointOf(lines: readonly string[], origin: string, logKey: Signer): string {
  const tree = new CompactRange(nodeSha);
  for (const line of lines) tree.append(leafHash(utf8(line), nodeSha));
  return checkpointSigner(origin, logKey, nodeSha)({ size: lines.length, root: tree.root() });
}

/** The tree hash by its definition (RFC 6962 §2.1): slow, and nothing shared with the code under test but the node. */
export function treeHash(leafHashes: readonly Uint8Array[]): Uint8Array {
  if (leafHashes.length === 0) return nodeSha(new Uint8Array());
  if (leafHashes.length === 1) return leafHashes[0] as Uint8Array;
  const middle = 2 ** Math.ceil(Math.log2(leafHashes.length) - 1);
  return nodeHash(treeHash(leafHashes.slice(0, middle)), treeHash(leafHashes.slice(middle)), nodeSha);
}

/** The `.tlog-proof` text of one receipt of a log under its checkpoint. */
export function proofOf(log: TestLog, seq: number): string {
  const leaves = log.lines.map((line) => leafHash(utf8(line), nodeSha));
  const path = inclusionRanges(seq, leaves.length).map(({ start, end }) => treeHash(leaves.slice(start, end)));
  return formatProof({ extra: utf8(log.lines[seq] ?? ''), index: seq, path, checkpoint: log.checkpoint });
}

export interface TrustOptions {
  readonly pinnedRoot?: string;
  readonly heldCheckpoint?: string;
  readonly sha?: Sha256;
}

/** The verdict on an export, fed to the verifier in chunks that cut lines. */
export function verdictOf({ roots, checkpoint, file }: TestExport, trust: TrustOptions = {}): Verdict {
  const verifier = createLogVerifier({ roots, checkpoint, sha: nodeSha, ...trust });
  for (let at = 0; at < file.length; at += 1000) verifier.write(file.subarray(at, at + 1000));
  return verifier.finish();
}
