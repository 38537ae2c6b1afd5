/** Whether what was parsed from JSON is text that can be written out again. */

/**
 * A `\ud800` by itself parses, is no character, and turns into another one wherever it is encoded:
 * what was said and what was hashed would differ (RFC 8785 §3.2.2.2, RFC 8259 §8.2).
 */
export function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isWellFormed);
  return Object.entries(value).every(([name, member]) => name.isWellFormed() && isWellFormed(member));
}
