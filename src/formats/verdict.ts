/** What a verification says. */

/** What is wrong with the first thing found wrong. */
export type ProblemCode =
  // with what the log is judged by; no receipt was looked at
  | 'bad_root'
  | 'wrong_root'
  | 'bad_checkpoint'
  // with one receipt, named by `seq`
  | 'not_canonical'
  | 'bad_field'
  | 'wrong_seed'
  | 'wrong_seq'
  | 'wrong_prev'
  | 'altered'
  | 'time_backwards'
  | 'of_not_an_intent'
  | 'of_already_settled'
  // with the file as a whole
  | 'empty_log'
  | 'truncated_line'
  | 'cut_tail'
  | 'extra_tail'
  | 'root_mismatch'
  // with how it goes on from the checkpoint that the verifier held
  | 'bad_held'
  | 'held_not_continued'
  | 'held_newer';

export interface Broken {
  /** The first receipt that is not as it was, or is missing; null when no single one can be named. */
  readonly seq: number | null;
  readonly problem: ProblemCode;
  /** For a person. Repeats nothing out of a receipt but its number. */
  readonly message: string;
}

export interface Verdict {
  /**
   * `proven`: whole, and signed under the root of trust that was pinned. `consistent`: whole, but
   * the root of trust came with the log, so that anyone may have made all of it. `broken`: neither.
   */
  readonly verdict: 'proven' | 'consistent' | 'broken';
  /** Receipts found good; when `broken`, those before the first problem. */
  readonly size: number;
  /** The root that the checkpoint signs, in base64 as it stands there; null without a good checkpoint. */
  readonly root: string | null;
  /** The seed's id; null without a good root of trust. */
  readonly seed: string | null;
  /** Set exactly when `broken`. */
  readonly firstBroken: Broken | null;
  /** Whether the log goes on from the held checkpoint; null when none was given or it was not reached. */
  readonly continuesHeld: boolean | null;
}

/** Shorthand for a problem of one receipt, or of none that could be named. */
export function broken(seq: number | null, problem: ProblemCode, message: string): Broken {
  return { seq, problem, message };
}
