/**
 * Names what happened where the chain breaks. That a receipt does not fit is certain; which one was
 * touched, and how, is inferred from the receipt after it, as if one thing had been done. Whoever
 * did several can still mislead the wording, but not the verdict.
 */
import type { Receipt } from './receipt.ts';
import { type Broken, broken } from './verdict.ts';

/** A receipt that is not the next one of its chain. */
export interface Misfit {
  readonly receipt: Receipt;
  /** Hash of its line. */
  readonly hash: string;
  /** The number that was due. */
  readonly due: number;
  /** Hash of the line before it: the `prev` that was due. */
  readonly duePrev: string;
}

/**
 * @param next The receipt after it; null at the end of the file, or where that one does not parse.
 * @param onlyPrevWrong Whether the log would add up with nothing but the misfit's `prev` put right;
 * asked only where the misfit ends the file.
 */
export function diagnose(misfit: Misfit, next: Receipt | null, onlyPrevWrong: () => boolean): Broken {
  return misfit.receipt.seq === misfit.due ? diagnosePrev(misfit, next, onlyPrevWrong) : diagnoseSeq(misfit, next);
}

function diagnosePrev({ hash, due }: Misfit, next: Receipt | null, onlyPrevWrong: () => boolean): Broken {
  // Either this receipt's `prev` was changed or the receipt before was: the next one vouches for this.
  const isIntact = next === null ? !onlyPrevWrong() : next.prev === hash;
  if (due > 0 && isIntact) {
    return broken(due - 1, 'altered', `Receipt ${due - 1} was altered: receipt ${due} names another hash for it.`);
  }
  return broken(
    due,
    'wrong_prev',
    due === 0
      ? 'Receipt 0 does not begin a log: it names a receipt before it.'
      : `Receipt ${due} was altered or put there: it does not name the hash of receipt ${due - 1}.`,
  );
}

function diagnoseSeq({ receipt, hash, due, duePrev }: Misfit, next: Receipt | null): Broken {
  const { seq } = receipt;
  if (hash === duePrev) {
    return broken(seq, 'wrong_seq', `Receipt ${seq} is duplicated: the same line stands twice in a row.`);
  }
  if (receipt.prev === duePrev) {
    return broken(due, 'wrong_seq', `Receipt ${due} was altered: it says that its number is ${seq}.`);
  }
  if (seq < due) {
    return broken(
      seq,
      'wrong_seq',
      `Number ${seq} stands again after receipt ${due - 1}: a receipt was inserted or duplicated.`,
    );
  }
  if (next !== null && next.seq >= due && next.seq < seq) {
    return broken(
      due,
      'wrong_seq',
      `Receipt ${due} was due, but ${seq} comes before ${next.seq}: receipts were reordered.`,
    );
  }
  const missing = seq === due + 1 ? `Receipt ${due} is` : `Receipts ${due} to ${seq - 1} are`;
  return broken(due, 'wrong_seq', `${missing} missing: ${seq} comes next, so something was deleted or moved.`);
}
