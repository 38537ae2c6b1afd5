/** What a client says a request is for, as labels for ceilings and reports. */
import { createHash } from 'node:crypto';
import { LABEL_KEY, LABELS_MAX } from '../../substrate/ledger/model.ts';
import { refusal } from './sifting.ts';

export const LABEL_KEY_RULE = 'must be 1 to 64 letters, digits, dots, dashes or underscores';

/** What objects have of their own is no name: it would be lost on its way, and its ceiling missed. */
export function isLabelKey(key: string): boolean {
  return LABEL_KEY.test(key) && key !== '__proto__';
}

/** UTF-16 units of a label's value. */
const LABEL_UNITS_MAX = 128;

/**
 * Labels out of what a client says of a request. A value that is too long for one becomes its hash: it still tells
 * customers apart, and no ceiling is missed because a name is long.
 */
export function labelsOf(entries: readonly { key: string; value: unknown; path: string }[]): Record<string, string> {
  const labels = new Map<string, string>();
  for (const { key: given, value, path } of entries) {
    // As in headers, whose names have no case: a ceiling means the same customer, whichever way it was said.
    const key = given.toLowerCase();
    if (typeof value !== 'string' || !value.isWellFormed()) throw refusal(path, 'must be text');
    if (!isLabelKey(key)) throw refusal(path, `cannot be a label: its name ${LABEL_KEY_RULE}`);
    if (value === '') continue;
    const label =
      value.length <= LABEL_UNITS_MAX ? value : `sha256:${createHash('sha256').update(value).digest('hex')}`;
    if ((labels.get(key) ?? label) !== label) throw refusal(path, 'says another value than the label of its name');
    labels.set(key, label);
  }
  if (labels.size > LABELS_MAX)
    throw refusal(entries.at(-1)?.path ?? 'metadata', `makes more than ${LABELS_MAX} labels`);
  return Object.fromEntries(labels);
}
