/**
 * The daemon as a process of its own, watched: `node --expose-gc process.ts HOME`.
 *
 * Prints `ready PORT` when its doors are open. Told `heap`, it collects garbage and prints
 * `heap BYTES`; told `stop`, it stops in good order. Whatever nobody caught is printed as `uncaught …`.
 */
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readConfig } from '../../src/config.ts';
import { serve } from '../../src/daemon.ts';
import { initHome } from '../../src/main.ts';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

for (const event of ['uncaughtException', 'unhandledRejection', 'warning'] as const) {
  process.on(event, (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (!text.startsWith('ExperimentalWarning')) say(`uncaught ${JSON.stringify(text)}`);
  });
}

const config = { ...readConfig({ home: process.argv[2] ?? '' }), port: 0 };
await initHome(config, null);
const daemon = await serve(config);
say(`ready ${new URL(daemon.url ?? 'http://none').port}`);

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'stop') break;
  for (let i = 0; i < 5; i++) {
    await nextTurn();
    globalThis.gc?.();
  }
  say(`heap ${process.memoryUsage().heapUsed}`);
}
daemon.stop();
await daemon.stopped;
say('stopped');
process.stdin.destroy();
