/** The one form of a point in time: UTC, milliseconds, `2026-11-21T07:00:00.000Z`. */

const FORM = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const DAYS_OF_MONTH: readonly number[] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * Whether a text is a real instant in that form. Texts that pass sort as their instants do.
 * Seconds end at 59: a leap second is written by no clock that a seed reads.
 */
export function isTime(text: unknown): text is string {
  if (typeof text !== 'string' || text.length !== 24 || !FORM.test(text)) return false;
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  if (month < 1 || month > 12 || day < 1 || day > daysOf(month, text)) return false;
  return twoDigits(text, 11) < 24 && twoDigits(text, 14) < 60 && twoDigits(text, 17) < 60;
}

function twoDigits(text: string, at: number): number {
  return (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48;
}

function daysOf(month: number, text: string): number {
  if (month !== 2) return DAYS_OF_MONTH[month - 1] ?? 0;
  const century = twoDigits(text, 0);
  const yearOfCentury = twoDigits(text, 2);
  const leap = yearOfCentury === 0 ? century % 4 === 0 : yearOfCentury % 4 === 0;
  return leap ? 29 : 28;
}
