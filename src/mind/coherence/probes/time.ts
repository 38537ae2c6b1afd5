/** Times as programs write them. */

/** Beyond these a number is none of a time: the years 1980 to 2200. */
const [EARLIEST_MS, LATEST_MS] = [Date.UTC(1980, 0, 1), Date.UTC(2200, 0, 1)];

/**
 * The instant that a value means, ms since the epoch: ISO 8601 (UTC where it names no zone, as SQLite's
 * CURRENT_TIMESTAMP), or a number of seconds, milliseconds, microseconds or nanoseconds since the epoch, told
 * apart by their size. Null for anything else.
 */
export function readTime(value: unknown): number | null {
  if (typeof value === 'number') return fromNumber(value);
  if (typeof value !== 'string') return null;
  const text = value.trim();
  if (/^\d+(?:\.\d+)?$/.test(text)) return fromNumber(Number(text));
  const [, date, time = '', zone = ''] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)\s*(Z|[+-]\d\d:?\d\d)?)?$/i.exec(text) ?? [];
  if (date === undefined) return null;
  const iso = time === '' ? date : `${date}T${time.replace(',', '.')}${zone === '' ? 'Z' : zone.toUpperCase()}`;
  return within(Date.parse(iso.replace(/([+-]\d\d)(\d\d)$/, '$1:$2')));
}

function fromNumber(value: number): number | null {
  for (const perMs of [0.001, 1, 1e3, 1e6]) {
    const found = within(value / perMs);
    if (found !== null) return found;
  }
  return null;
}

function within(ms: number): number | null {
  return ms >= EARLIEST_MS && ms < LATEST_MS ? Math.trunc(ms) : null;
}
