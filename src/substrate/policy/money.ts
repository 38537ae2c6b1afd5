/** Money as the owner writes it, in dollars, and as everything here counts it, in whole micro-dollars. */

const MICRO_DIGITS = 6;
const DOLLARS = /^(\d{1,10})(?:\.(\d{1,6}))?$/;

/** `"5.00"` is 5,000,000; null for anything that is not such a decimal, or more than an integer holds. */
export function parseUsd(text: string): number | null {
  const [, whole, fraction = ''] = DOLLARS.exec(text) ?? [];
  const amount = whole === undefined ? Number.NaN : Number(`${whole}${fraction.padEnd(MICRO_DIGITS, '0')}`);
  return Number.isSafeInteger(amount) ? amount : null;
}

/** The decimal that {@link parseUsd} reads as this amount, with cents at least. */
export function formatUsd(microUsd: number): string {
  const digits = String(Math.abs(microUsd)).padStart(MICRO_DIGITS + 1, '0');
  const fraction = digits.slice(-MICRO_DIGITS).replace(/0{1,4}$/, '');
  return `${microUsd < 0 ? '-' : ''}${digits.slice(0, -MICRO_DIGITS)}.${fraction}`;
}
