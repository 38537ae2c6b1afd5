/** Starts and watches the daemon of `process.ts`. */
import { join } from 'node:path';
import { socketPaths } from '../../src/substrate/home/sockets.ts';
import type { Child } from '../support/child.ts';
import { startNode, until } from '../support/child.ts';
import type { Rig } from './rig.ts';

export interface Watched extends Pick<Rig, 'home' | 'port' | 'sockets'>, AsyncDisposable {
  readonly child: Child;
  /** Bytes of the heap that are in use after a collection. */
  readonly heap: () => Promise<number>;
  /** What nobody caught. */
  readonly uncaught: () => readonly string[];
  /** Stops it in good order. */
  readonly stop: () => Promise<void>;
}

export async function startWatched(home: string): Promise<Watched> {
  const child = startNode(['--expose-gc', join(import.meta.dirname, 'process.ts'), home]);
  const ready = await child.line((line) => line.startsWith('ready '));
  const heaps = (): string[] => child.lines.filter((line) => line.startsWith('heap '));
  return {
    child,
    home,
    port: Number(ready.slice(6)),
    sockets: socketPaths(home, null),
    uncaught: () => child.lines.filter((line) => line.startsWith('uncaught ')),
    heap: async () => {
      const before = heaps().length;
      child.tell('heap');
      await until(() => heaps().length > before, 'the heap to be measured');
      return Number(heaps().at(-1)?.slice(5));
    },
    stop: async () => {
      child.tell('stop');
      await child.line((line) => line === 'stopped');
      await child.ended;
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}
