/**
 * Signed notes (C2SP signed-note): a text, an empty line, and signature lines. The signature type
 * written here is plain Ed25519 (0x01); lines of other keys and types are carried along unread.
 */
import { concat, fromBase64, type Sha256, sha256, toBase64, toHex, utf8 } from './bytes.ts';
import { FormatError } from './error.ts';

export interface NoteSignature {
  /** The key's name: not empty, no white space, no plus sign. */
  readonly name: string;
  /** Four bytes; see {@link keyId}. */
  readonly keyId: Uint8Array;
  /** 64 bytes for Ed25519, whatever its type says for others; at least one. */
  readonly signature: Uint8Array;
}

export interface Note {
  /** What is signed; ends in a newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const ED25519_TYPE = Uint8Array.of(1);
const KEY_ID_BYTES = 4;
const NEWLINE = 0x0a;
const SIGNATURE_MARK = '— ';
/** The specification asks for at least 16; post-quantum ones take up to 5 kB each. */
const SIGNATURES_MAX = 64;
const NOTE_UNITS_MAX = 512 * 1024;
const NOT_IN_A_NAME = /[\p{White_Space}+]/u;

/** First four bytes of SHA-256 over name, newline, type and key (C2SP signed-note, Ed25519 signatures). */
export function keyId(name: string, publicKey: Uint8Array, sha: Sha256 = sha256): Uint8Array {
  return sha(concat(utf8(`${name}\n`), ED25519_TYPE, publicKey)).slice(0, KEY_ID_BYTES);
}

/** The one-line text `name+id+key` by which other tools, such as Go's `sumdb/note`, are given a key. */
export function verifierKey(name: string, publicKey: Uint8Array, sha: Sha256 = sha256): string {
  return `${name}+${toHex(keyId(name, publicKey, sha))}+${toBase64(concat(ED25519_TYPE, publicKey))}`;
}

/**
 * The note of a text and its signatures.
 * @throws FormatError `bad_note` when a part cannot stand in one.
 */
export function formatNote(text: string, signatures: readonly NoteSignature[]): string {
  if (!text.endsWith('\n')) throw bad('The text of a note ends in a newline.');
  if (signatures.length < 1 || signatures.length > SIGNATURES_MAX)
    throw bad(`A note has 1 to ${SIGNATURES_MAX} signatures.`);
  const note = `${text}\n${signatures.map(checkedLine).join('')}`;
  if (note.length > NOTE_UNITS_MAX) throw bad(`A note is at most ${NOTE_UNITS_MAX} characters long.`);
  if (hasControlCharacter(note) || !note.isWellFormed())
    throw bad('A note holds no control characters but newlines, and is valid Unicode.');
  return note;
}

/**
 * The parts of a note. Nothing is verified yet: do not use the text before a signature was.
 * @throws FormatError `bad_note` unless {@link formatNote} writes the very same note from the parts.
 */
export function parseNote(note: string): Note {
  if (note.length > NOTE_UNITS_MAX) throw bad(`A note is at most ${NOTE_UNITS_MAX} characters long.`);
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || !note.endsWith('\n')) throw bad('A note is a text, an empty line, and signature lines.');
  const text = note.slice(0, split + 1);
  const lines = note.slice(split + 2, -1).split('\n', SIGNATURES_MAX + 1);
  const parsed = { text, signatures: lines.map(parseSignatureLine) };
  if (formatNote(parsed.text, parsed.signatures) !== note)
    throw bad('The note is not in the form that would be written.');
  return parsed;
}

/** One signature's line, of parts that were checked. */
export function signatureLine(name: string, id: Uint8Array, signature: Uint8Array): string {
  return `${SIGNATURE_MARK}${name} ${toBase64(concat(id, signature))}\n`;
}

function checkedLine({ name, keyId: id, signature }: NoteSignature): string {
  if (!isKeyName(name) || id.length !== KEY_ID_BYTES || signature.length === 0)
    throw bad('A signature has no proper name or key id.');
  return signatureLine(name, id, signature);
}

function parseSignatureLine(line: string): NoteSignature {
  const space = line.lastIndexOf(' ');
  const bytes = fromBase64(line.slice(space + 1));
  if (
    !line.startsWith(SIGNATURE_MARK) ||
    space <= SIGNATURE_MARK.length ||
    bytes === null ||
    bytes.length <= KEY_ID_BYTES
  ) {
    throw bad('A signature line is not a dash, a key name and a base64 signature.');
  }
  return {
    name: line.slice(SIGNATURE_MARK.length, space),
    keyId: bytes.slice(0, KEY_ID_BYTES),
    signature: bytes.slice(KEY_ID_BYTES),
  };
}

function isKeyName(name: string): boolean {
  return name !== '' && !NOT_IN_A_NAME.test(name);
}

function hasControlCharacter(note: string): boolean {
  for (let i = 0; i < note.length; i++) {
    const unit = note.charCodeAt(i);
    if (unit < 0x20 && unit !== NEWLINE) return true;
  }
  return false;
}

function bad(message: string): FormatError {
  return new FormatError('bad_note', message);
}
