/** How coherence says times and shares to a person. */

const SECOND_MS = 1_000;
const UNITS = [
  { name: 'day', ms: 86_400_000 },
  { name: 'hour', ms: 3_600_000 },
  { name: 'minute', ms: 60_000 },
  { name: 'second', ms: SECOND_MS },
] as const;

/** A duration in its largest unit of which there are two or more: `35 days`, `26 hours`; whole numbers only. */
export function sayDuration(ms: number): string {
  const whole = Math.round(ms / SECOND_MS) * SECOND_MS;
  const { name, ms: unit } = UNITS.find((each) => whole >= 2 * each.ms) ?? { name: 'second', ms: SECOND_MS };
  const count = Math.floor(whole / unit);
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

export function sayPercent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

export function sayCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** A moment, to the second. */
export function sayMoment(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
