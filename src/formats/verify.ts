/**
 * Verifies an exported log from its bytes alone: roots of trust, checkpoint, receipts. One pass, in
 * constant memory but for two bits a receipt; no file, clock or network, so it runs in a browser.
 */
import { type Anchors, openAnchors } from './anchors.ts';
import { decodeUtf8, equal, type Sha256, sha256, toBase64, toHex, utf8 } from './bytes.ts';
import { ReceiptChain } from './chain.ts';
import { diagnose, type Misfit } from './diagnosis.ts';
import { FormatError } from './error.ts';
import { splitLines } from './lines.ts';
import { CompactRange, leafHash } from './merkle.ts';
import { encodeReceipt, parseReceipt, type Receipt, RECEIPT_BYTES_MAX } from './receipt.ts';
import { type Broken, broken, type Verdict } from './verdict.ts';

export type { Broken, ProblemCode, Verdict } from './verdict.ts';

export interface LogVerifierOptions {
  /** Exact texts of `root/1.json`, `root/2.json` and so on, in that order. */
  readonly roots: readonly string[];
  /** Exact text of any one version of the root of trust, known from elsewhere than the export. */
  readonly pinnedRoot?: string;
  /** The export's checkpoint, a signed note. */
  readonly checkpoint: string;
  /** A checkpoint of this log that the verifier kept: shows a cut or forked log even by the key's holder. */
  readonly heldCheckpoint?: string;
  /** The platform's SHA-256, if it has a faster one. */
  readonly sha?: Sha256;
}

export interface LogVerifier {
  /** Takes the next bytes of `receipts.jsonl`, cut anywhere. */
  write(chunk: Uint8Array): void;
  /** Takes the next line, without its newline; for who has lines. Do not mix with `write`. */
  push(line: Uint8Array): void;
  /** Whether a problem was found already: what follows does not change the verdict. */
  isBroken(): boolean;
  /** The verdict on all that was taken; call it once, at the end. */
  finish(): Verdict;
}

/** A verifier of one log. It never throws for what is in the log: that is the verdict. */
export function createLogVerifier(options: LogVerifierOptions): LogVerifier {
  const sha = options.sha ?? sha256;
  const anchors = openAnchors({ ...options, sha });
  if ('problem' in anchors) return refuseAll(anchors);
  const pass = new Pass(anchors, sha);
  const lines = splitLines(RECEIPT_BYTES_MAX, (line) => pass.push(line));
  return {
    write: (chunk) => lines.write(chunk),
    push: (line) => pass.push(line),
    isBroken: () => pass.isBroken,
    finish: () => pass.finish(lines.hasRest()),
  };
}

function refuseAll(firstBroken: Broken): LogVerifier {
  const ignore = (): void => undefined;
  const verdict: Verdict = { verdict: 'broken', size: 0, root: null, seed: null, firstBroken, continuesHeld: null };
  return { write: ignore, push: ignore, isBroken: () => true, finish: () => verdict };
}

/** One pass over the receipts. After the first problem it takes nothing more. */
class Pass {
  readonly #anchors: Anchors;
  readonly #sha: Sha256;
  readonly #chain: ReceiptChain;
  readonly #tree: CompactRange;
  /** A receipt out of place, until the next one tells what happened to it. */
  #misfit: Misfit | null = null;
  #broken: Broken | null = null;
  #continuesHeld: boolean | null = null;

  constructor(anchors: Anchors, sha: Sha256) {
    this.#anchors = anchors;
    this.#sha = sha;
    this.#chain = new ReceiptChain(anchors.seed);
    this.#tree = new CompactRange(sha);
    this.#compareHeld();
  }

  get isBroken(): boolean {
    return this.#broken !== null;
  }

  push(line: Uint8Array): void {
    if (this.#broken !== null) return;
    const receipt = this.#parse(line);
    if (this.#misfit !== null) {
      this.#settleMisfit('problem' in receipt ? null : receipt);
    } else if ('problem' in receipt) {
      this.#broken = receipt;
    } else {
      this.#place(receipt, line);
    }
  }

  finish(hasRest: boolean): Verdict {
    if (this.#misfit !== null && this.#broken === null) this.#settleMisfit(null);
    this.#broken ??= this.#endProblem(hasRest) ?? this.#heldProblem();
    const { seed, target, pinned, held } = this.#anchors;
    return {
      verdict: this.#broken !== null ? 'broken' : pinned ? 'proven' : 'consistent',
      size: this.#chain.size,
      root: toBase64(target.root),
      seed,
      firstBroken: this.#broken,
      continuesHeld: held === null ? null : this.#continuesHeld,
    };
  }

  #parse(line: Uint8Array): Receipt | Broken {
    const seq = this.#chain.size;
    const text = decodeUtf8(line);
    if (text === null) return broken(seq, 'not_canonical', `Receipt ${seq} is not UTF-8.`);
    try {
      return parseReceipt(text);
    } catch (error) {
      if (error instanceof FormatError) return formProblem(seq, error);
      throw error;
    }
  }

  #place(receipt: Receipt, line: Uint8Array): void {
    const seq = this.#chain.size;
    if (!this.#chain.isOfSeed(receipt)) {
      this.#broken = broken(seq, 'wrong_seed', `Receipt ${seq} is of another seed.`);
      return;
    }
    const hash = toHex(this.#sha(line));
    if (!this.#chain.isNext(receipt)) {
      this.#misfit = { receipt, hash, due: seq, duePrev: this.#chain.lastHash };
      return;
    }
    this.#broken = this.#chain.problemOf(receipt) ?? this.#excess();
    if (this.#broken !== null) return;
    this.#chain.take(receipt, hash);
    this.#tree.append(leafHash(line, this.#sha));
    this.#compareHeld();
    this.#broken = this.#rootProblem();
  }

  #settleMisfit(next: Receipt | null): void {
    const misfit = this.#misfit as Misfit;
    this.#broken = diagnose(misfit, next, () => this.#addsUpWithPrevPutRight(misfit));
  }

  #addsUpWithPrevPutRight({ receipt, duePrev }: Misfit): boolean {
    const tree = this.#tree.clone();
    tree.append(leafHash(utf8(encodeReceipt({ ...receipt, prev: duePrev })), this.#sha));
    return this.#isTarget(tree);
  }

  #isTarget(tree: CompactRange): boolean {
    const { target } = this.#anchors;
    return tree.size === target.size && equal(tree.root(), target.root);
  }

  #excess(): Broken | null {
    const { size } = this.#anchors.target;
    return this.#chain.size < size
      ? null
      : broken(size, 'extra_tail', `The checkpoint covers ${size} receipts; the file goes on with receipt ${size}.`);
  }

  #rootProblem(): Broken | null {
    const { size } = this.#anchors.target;
    if (this.#chain.size !== size || this.#isTarget(this.#tree)) return null;
    return broken(
      null,
      'root_mismatch',
      `The receipts form a chain, but not the log that the checkpoint signs: the last one (${size - 1}) was altered, ` +
        'or all were written anew from some receipt on.',
    );
  }

  #endProblem(hasRest: boolean): Broken | null {
    const seq = this.#chain.size;
    const { size } = this.#anchors.target;
    if (hasRest)
      return broken(seq, 'truncated_line', `The file breaks off inside receipt ${seq}: its last line has no newline.`);
    if (size === 0) return broken(null, 'empty_log', 'The log is empty: there is nothing to verify.');
    return seq === size
      ? null
      : broken(seq, 'cut_tail', `The checkpoint covers ${size} receipts, but the file ends before receipt ${seq}.`);
  }

  #compareHeld(): void {
    const { held } = this.#anchors;
    if (held === null) return;
    if ('problem' in held) this.#continuesHeld = false;
    else if (held.size === this.#tree.size) this.#continuesHeld = equal(held.root, this.#tree.root());
  }

  #heldProblem(): Broken | null {
    const { held } = this.#anchors;
    if (held === null || this.#continuesHeld === true) return null;
    if ('problem' in held) return held;
    if (this.#continuesHeld === false) {
      return broken(
        null,
        'held_not_continued',
        `The log key signed two histories: the first ${held.size} receipts are not those of the checkpoint held.`,
      );
    }
    this.#continuesHeld = false;
    return broken(
      this.#chain.size,
      'held_newer',
      `The checkpoint held covers ${held.size} receipts, this log only ${this.#chain.size}: its tail was cut.`,
    );
  }
}

function formProblem(seq: number, error: FormatError): Broken {
  if (error.code !== 'bad_receipt')
    return broken(seq, 'not_canonical', `Receipt ${seq} is not in canonical form: ${error.message}`);
  // Settling what comes later, or itself, is the same fault as settling what is no intent.
  const problem = error.field === 'of' ? 'of_not_an_intent' : 'bad_field';
  return broken(seq, problem, `Receipt ${seq} is not a receipt: ${error.message}`);
}
