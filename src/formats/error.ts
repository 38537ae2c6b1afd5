/**
 * The one error of the portable kernel. It says which format was broken and, where that is known,
 * which field of it. No message repeats the content that was refused.
 */

/** A stable string; the part in front names the format that the input does not follow. */
export type FormatErrorCode =
  | 'not_canonical'
  | 'bad_receipt'
  | 'bad_note'
  | 'bad_checkpoint'
  | 'bad_root'
  | 'bad_proof'
  | 'bad_signature'
  | 'bad_tree';

/** Thrown by every parser, encoder and verifier in this folder when its input is not acceptable. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly code: FormatErrorCode;
  /** Where in the input, such as `actor.kind` or `signed.keys.log[0]`; null when it is the whole. */
  readonly field: string | null;

  constructor(code: FormatErrorCode, message: string, field: string | null = null) {
    super(message);
    this.code = code;
    this.field = field;
  }
}
