/** The little statistics that coherence needs: moments, quantiles, and exact bounds on a share. */

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The sample variance (n - 1). */
export function variance(values: readonly number[]): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}

/** The quantile of `share`, interpolated (type 7 of Hyndman and Fan, The American Statistician 1996). */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** `hits` of `tries`. */
export interface Share {
  readonly hits: number;
  readonly tries: number;
}

/**
 * The two-sided Jeffreys interval of a share: quantiles of Beta(hits + 1/2, misses + 1/2), and the end itself where
 * all or none were hits (Brown, Cai and DasGupta, Statistical Science 2001).
 */
export function jeffreys({ hits, tries }: Share, confidence: number): Interval {
  const [a, b] = [hits + 0.5, tries - hits + 0.5];
  const tail = (1 - confidence) / 2;
  return {
    low: hits === 0 ? 0 : betaQuantile(tail, a, b),
    high: hits === tries ? 1 : betaQuantile(1 - tail, a, b),
  };
}

/** The share that the true one is above, at this confidence, whatever it is (Clopper and Pearson, Biometrika 1934). */
export function lowerBound({ hits, tries }: Share, confidence: number): number {
  return hits === 0 ? 0 : betaQuantile(1 - confidence, hits, tries - hits + 1);
}

/** The share that the true one is below, likewise; 1 where nothing was tried. */
export function upperBound({ hits, tries }: Share, confidence: number): number {
  return hits >= tries ? 1 : betaQuantile(confidence, hits + 1, tries - hits);
}

/** Halvings of the unit interval until a double has no more. */
const HALVINGS = 60;

function betaQuantile(share: number, a: number, b: number): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (betaShare(middle, a, b) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The regularised incomplete beta function I_x(a, b). */
function betaShare(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges quickly on this side of the mean; I_x(a, b) = 1 - I_(1-x)(b, a) for the other.
  if (x > (a + 1) / (a + b + 2)) return 1 - betaShare(1 - x, b, a);
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x) - Math.log(a),
  );
  return front * betaFraction(x, a, b);
}

const TERMS_MAX = 500;
const PRECISION = 1e-14;
const TINY = 1e-300;

/** Its continued fraction (DLMF 8.17.22), by the method of Lentz. */
function betaFraction(x: number, a: number, b: number): number {
  const away = (value: number): number => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m <= TERMS_MAX; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    for (const term of [even, odd]) {
      d = 1 / away(1 + term * d);
      c = away(1 + term / c);
      result *= c * d;
    }
    if (Math.abs(c * d - 1) < PRECISION) break;
  }
  return result;
}

/** Stirling's series (DLMF 5.11.1), where it is precise: small arguments are moved up first. */
function logGamma(x: number): number {
  if (x < 10) return logGamma(x + 1) - Math.log(x);
  const inverse = 1 / (x * x);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1_260 - inverse / 1_680))) / x;
  return (x - 0.5) * Math.log(x) - x + Math.log(2 * Math.PI) / 2 + series;
}
