/**
 * Detectors of change, and how long they run before they signal.
 *
 * A detector is fed one observation after the other; its level begins at zero. The CUSUM is that of Page
 * (Biometrika 1954), the EWMA that of Roberts (Technometrics 1959) with the limits of Lucas and Saccucci
 * (Technometrics 1990), the Bernoulli CUSUM that of Reynolds and Stoumbos (Journal of Quality Technology 1999).
 */

export interface Detector {
  /** The level after one more observation. */
  readonly step: (level: number, observed: number) => number;
  /** It signals at this level and beyond it, in either direction where the level has one. */
  readonly limit: number;
}

/** Watches for a rise of standardised observations; feed it their negatives to watch for a fall. */
export function cusum({ k, h }: { k: number; h: number }): Detector {
  return { limit: h, step: (level, observed) => Math.max(0, level + observed - k) };
}

/** The weighted mean of standardised observations, newest heaviest; `width` is its limit in its own sigmas. */
export function ewma({ lambda, width }: { lambda: number; width: number }): Detector {
  return {
    limit: width * Math.sqrt(lambda / (2 - lambda)),
    step: (level, observed) => lambda * observed + (1 - lambda) * level,
  };
}

export function signals({ limit }: Detector, level: number): boolean {
  return Math.abs(level) >= limit;
}

/** What a detector says at the end of a series. */
export interface Watched {
  /** From 0 to 1, where it signals. */
  readonly level: number;
  /** Where the change seems to have begun, as an index of the series; null while there is no alarm. */
  readonly since: number | null;
}

/** An alarm holds until the level has fallen below this part of the limit: or it would come and go at the limit. */
const HELD_DOWN_TO = 0.5;

/**
 * Follows a one-sided detector over a series. The level does not rise beyond the limit, so that what is over is
 * soon seen to be over. The change is taken to have begun with the first observation after the level was last at
 * zero.
 */
export function watch(detector: Detector, series: readonly number[]): Watched {
  let level = 0;
  let begun = 0;
  let since: number | null = null;
  for (const [i, observed] of series.entries()) {
    level = Math.min(detector.limit, detector.step(level, observed));
    if (level === 0) begun = i + 1;
    if (signals(detector, level)) since ??= begun;
    else if (level < HELD_DOWN_TO * detector.limit) since = null;
  }
  return { level: level / detector.limit, since };
}

/** A Bernoulli CUSUM on a lattice: a failure adds `up`, a success takes away `down`; all whole numbers. */
export interface Lattice {
  readonly up: number;
  readonly down: number;
  readonly limit: number;
  /** Observations until a false alarm, on average, while nothing has changed. */
  readonly runLength: number;
}

/** Watches for more failures: 1 is a failure, 0 a success. */
export function bernoulliCusum({ up, down, limit }: Pick<Lattice, 'up' | 'down' | 'limit'>): Detector {
  return { limit, step: (level, failed) => Math.max(0, level + (failed === 1 ? up : -down)) };
}

/** Finer lattices cost more than what is known of the failure rate is worth. */
const STEPS_MAX = 20;

/**
 * The Bernoulli CUSUM that tells failure rate `to` from `from` and, while it is `from`, gives a false alarm in
 * `runLength` observations or, as far as the lattice allows, just above.
 *
 * Its reference value is the one of the likelihood ratio, rounded to a fraction so that the levels are finitely
 * many; the threshold follows from the exact run length.
 */
export function designBernoulli({ from, to, runLength }: { from: number; to: number; runLength: number }): Lattice {
  const { up, down } = nearestFraction(referenceValue(from, to), { above: from, below: to });
  let low = 1;
  let high = up + down;
  while (exactRunLength({ up, down, limit: high }, from) < runLength) [low, high] = [high, 2 * high];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (exactRunLength({ up, down, limit: middle }, from) < runLength) low = middle + 1;
    else high = middle;
  }
  return { up, down, limit: high, runLength: exactRunLength({ up, down, limit: high }, from) };
}

/** What an observation must exceed to speak for the higher rate (Reynolds and Stoumbos, r1 / r2). */
function referenceValue(from: number, to: number): number {
  return Math.log((1 - from) / (1 - to)) / Math.log((to * (1 - from)) / (from * (1 - to)));
}

/** The fraction down / (up + down) nearest to a value, strictly between two others. */
function nearestFraction(value: number, { above, below }: { above: number; below: number }) {
  let best = { up: 0, down: 0, error: Number.POSITIVE_INFINITY };
  for (let whole = 2; whole <= STEPS_MAX; whole++) {
    const down = Math.min(whole - 1, Math.max(1, Math.round(value * whole)));
    const error = Math.abs(value - down / whole);
    if (error < best.error - 1e-9 && down / whole > above && down / whole < below) {
      best = { up: whole - down, down, error };
    }
  }
  return best;
}

/**
 * The exact average run length from level zero at a failure rate: the levels below the limit are the transient
 * states of a Markov chain with transitions Q, and the run lengths solve (I - Q) x = 1 (Brook and Evans,
 * Biometrika 1972).
 */
export function exactRunLength({ up, down, limit }: Pick<Lattice, 'up' | 'down' | 'limit'>, rate: number): number {
  const rows = Array.from({ length: limit }, (_, level) => {
    const row = new Float64Array(limit + 1);
    const risen = level + up;
    const fallen = Math.max(0, level - down);
    row[level] = (row[level] ?? 0) + 1;
    if (risen < limit) row[risen] = (row[risen] ?? 0) - rate;
    row[fallen] = (row[fallen] ?? 0) - (1 - rate);
    row[limit] = 1;
    return row;
  });
  return solveFirst(rows, down);
}

/**
 * The first unknown of a linear system, by elimination from the last one on. I - Q is weakly diagonally dominant,
 * so it needs no pivoting; below its diagonal a row reaches at most `reach` columns far, before and after.
 */
function solveFirst(rows: readonly Float64Array[], reach: number): number {
  const last = rows.length;
  for (let pivot = last - 1; pivot > 0; pivot--) {
    const from = rows[pivot] as Float64Array;
    for (let row = pivot - 1; row >= 0; row--) {
      const into = rows[row] as Float64Array;
      const share = (into[pivot] as number) / (from[pivot] as number);
      if (share === 0) continue;
      for (let column = Math.max(0, pivot - reach); column < pivot; column++) {
        into[column] = (into[column] as number) - share * (from[column] as number);
      }
      into[last] = (into[last] as number) - share * (from[last] as number);
    }
  }
  const first = rows[0] as Float64Array;
  return (first[last] as number) / (first[0] as number);
}
