/** Lifetimes as a person writes them. */
import { InvalidArgumentError } from 'commander';

const UNIT_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Seconds of `90m`, `12h`, `30d` or `8w`. */
export function parseLifetime(text: string): number {
  const match = /^(\d{1,6})([smhdw])$/.exec(text);
  const seconds = Number(match?.[1] ?? 0) * (UNIT_S[match?.[2] ?? ''] ?? 0);
  if (seconds >= 60 && seconds <= 366 * 86_400) return seconds;
  throw new InvalidArgumentError('Write 90m, 12h, 30d or 8w; from a minute to a year.');
}
