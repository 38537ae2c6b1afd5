/** Receipted operations through the substrate's own face. */
import { OWNER } from '../../src/substrate/actor.ts';
import { putContent } from '../../src/substrate/content.ts';
import type { Operation, Substrate } from '../../src/substrate/substrate.ts';
import type { Round } from './disk.ts';

export interface Load {
  readonly operations: number;
  readonly inFlight: number;
  /** `row`: each operation also keeps one piece of content. `none`: it leaves its receipt only. */
  readonly effect: 'row' | 'none';
}

const CONTENT = Buffer.alloc(200, 'c');

/** Keeps `inFlight` operations under way until all are durable. */
export async function operations(substrate: Substrate, { operations: count, inFlight, effect }: Load): Promise<Round> {
  const { sources } = substrate;
  const run = async (op: Operation): Promise<void> => {
    if (effect === 'row') op.receipt({ input: await putContent(op, CONTENT, { sources }) });
  };
  const tookMs: number[] = [];
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const before = performance.now();
      await substrate.operate({ action: 'bench.write', actor: OWNER }, run);
      tookMs.push(performance.now() - before);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { perSecond: (count * 1_000) / (performance.now() - start), tookMs };
}
