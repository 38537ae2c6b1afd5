/**
 * Checkpoints (C2SP tlog-checkpoint): the size and root of a log, as a signed note. A seed's log
 * is named `sovereign-seed/<id>`, which is also the name of the key that signs it.
 */
import { equal, fromBase64, type Sha256, sha256, toBase64, utf8 } from './bytes.ts';
import { SIGNATURE_BYTES, type VerifySignature, verifySignature } from './ed25519.ts';
import { FormatError } from './error.ts';
import { EMPTY_ROOT } from './merkle.ts';
import { formatNote, keyId, type NoteSignature, parseNote, signatureLine } from './note.ts';

export interface Checkpoint {
  readonly origin: string;
  /** Number of receipts covered. */
  readonly size: number;
  /** Tree hash over them, 32 bytes. */
  readonly root: Uint8Array;
}

/** Signs with one key; the key itself stays where it is. */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Ed25519 signature of the bytes, 64 bytes. */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

export interface OpenCheckpointOptions {
  readonly origin: string;
  /** Log keys, any one of which may have signed; other keys' signatures are ignored. */
  readonly publicKeys: readonly Uint8Array[];
  readonly verify?: VerifySignature;
  readonly sha?: Sha256;
}

const ROOT_BYTES = 32;
const SIZE = /^(0|[1-9][0-9]{0,15})$/;

/** The origin of a seed's log, from its id of 64 hex digits. */
export function originOf(seed: string): string {
  return `sovereign-seed/${seed}`;
}

/** The note text: origin, size and root, a line each. These bytes are what is signed. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** The signed note of one log's checkpoint, given what changes from one to the next. */
export type SignCheckpoint = (tree: Omit<Checkpoint, 'origin'>) => string;

/**
 * Signs the checkpoints of one log with one key, whose name is the origin. What they have in common
 * is worked out once: every commit of a seed waits for a signature.
 * @throws FormatError `bad_checkpoint` or `bad_note` when the origin can name neither log nor key;
 * the function given back throws `bad_checkpoint` for a size or a root that is none.
 */
export function checkpointSigner(origin: string, signer: Signer, sha: Sha256 = sha256): SignCheckpoint {
  const id = keyId(origin, signer.publicKey, sha);
  const sample = checkpointText({ origin, size: 0, root: EMPTY_ROOT });
  parseCheckpointText(sample);
  formatNote(sample, [{ name: origin, keyId: id, signature: new Uint8Array(SIGNATURE_BYTES) }]);
  return ({ size, root }) => {
    checkTree(size, root);
    const text = checkpointText({ origin, size, root });
    return `${text}\n${signatureLine(origin, id, signer.sign(utf8(text)))}`;
  };
}

/**
 * The checkpoint of a note, verified.
 * @throws FormatError `bad_note` or `bad_checkpoint` for a wrong form or another origin,
 * `bad_signature` when none of the keys signed it or a signature in one's name is not its own.
 */
export function openCheckpoint(note: string, options: OpenCheckpointOptions): Checkpoint {
  const { text, signatures } = parseNote(note);
  const checkpoint = parseCheckpointText(text);
  if (checkpoint.origin !== options.origin) {
    throw new FormatError('bad_checkpoint', 'The checkpoint is of another log.', 'origin');
  }
  checkSignatures(utf8(text), signatures, options);
  return checkpoint;
}

function checkSignatures(text: Uint8Array, signatures: readonly NoteSignature[], options: OpenCheckpointOptions): void {
  const { origin, publicKeys, verify = verifySignature, sha = sha256 } = options;
  let verified = 0;
  for (const publicKey of publicKeys) {
    const id = keyId(origin, publicKey, sha);
    for (const { name, keyId: signedBy, signature } of signatures) {
      if (name !== origin || !equal(signedBy, id)) continue;
      if (!verify(signature, text, publicKey)) {
        throw new FormatError('bad_signature', 'The checkpoint names a log key but is not signed by it.');
      }
      verified += 1;
    }
  }
  if (verified === 0) throw new FormatError('bad_signature', 'The checkpoint is signed by no log key of this seed.');
}

/** Extension lines, which the format allows and discourages, are never written here and refused. */
function parseCheckpointText(text: string): Checkpoint {
  const [origin = '', size = '', encodedRoot = '', ...rest] = text.split('\n');
  const root = fromBase64(encodedRoot);
  if (origin === '' || rest.length !== 1 || rest[0] !== '')
    throw bad('A checkpoint is an origin, a size and a root.', null);
  if (!SIZE.test(size)) throw bad('The size is not a number of receipts.', 'size');
  if (root === null) throw bad('The root is not 32 bytes in base64.', 'root');
  checkTree(Number(size), root);
  return { origin, size: Number(size), root };
}

function checkTree(size: number, root: Uint8Array): void {
  if (!Number.isSafeInteger(size) || size < 0) throw bad('The size is not a number of receipts.', 'size');
  if (root.length !== ROOT_BYTES) throw bad('The root is not 32 bytes in base64.', 'root');
  if (size === 0 && !equal(root, EMPTY_ROOT)) throw bad('The root is not that of an empty log.', 'root');
}

function bad(message: string, field: string | null): FormatError {
  return new FormatError('bad_checkpoint', message, field);
}
