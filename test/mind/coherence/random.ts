/** Random numbers that follow from a seed, fast enough for millions, and the shapes that gaps between work have. */

/** Uniform in [0, 1): mulberry32. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal, by Box and Muller. */
export function normal(seed: number): () => number {
  const draw = uniform(seed);
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - draw()));
    const angle = 2 * Math.PI * draw();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

export const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

export type Shape = 'exponential' | 'lognormal' | 'bursty' | 'day and night' | 'regular';

/** Gaps between completions, in ms, one after the other. */
export const GAPS: Readonly<Record<Shape, (seed: number) => () => number>> = {
  exponential: (seed) => exponential(uniform(seed), HOUR_MS),
  lognormal: (seed) => {
    const draw = normal(seed);
    return () => HOUR_MS * Math.exp(draw());
  },
  bursty: (seed) => {
    const draw = uniform(seed);
    const [within, between, length] = [
      exponential(draw, MINUTE_MS),
      exponential(draw, 8 * HOUR_MS),
      exponential(draw, 5),
    ];
    let left = 0;
    return () => {
      if (left-- > 0) return within();
      left = Math.floor(length());
      return between();
    };
  },
  'day and night': (seed) => {
    const next = exponential(uniform(seed), 1.5 * HOUR_MS);
    let at = 0;
    return () => {
      const before = at;
      do at += next();
      while ((at / HOUR_MS) % 24 < 8);
      return at - before;
    };
  },
  regular: (seed) => {
    const draw = normal(seed);
    return () => HOUR_MS * (1 + 0.02 * draw());
  },
};

function exponential(draw: () => number, mean: number): () => number {
  return () => -mean * Math.log(1 - draw());
}
