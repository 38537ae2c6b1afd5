/**
 * The daemon with a clock that its starter sets: `daemon.ts HOME OFFSET_MS`.
 *
 * Prints `ready PORT` when its doors are open. Told `clock OFFSET_MS`, it lives that far from the
 * machine's time; told `stop`, it stops in good order. `SEED_FAULT` kills it at a named point.
 */
import { createInterface } from 'node:readline';

const [home = '', offset = '0'] = process.argv.slice(2);
const machine = Date.now.bind(Date);
let offsetMs = Number(offset);
Date.now = () => machine() + offsetMs;

// Only now: nothing of the seed has looked at the clock yet.
const { readConfig } = await import('../../../src/config.ts');
const { serve } = await import('../../../src/daemon.ts');
const { initHome } = await import('../../../src/main.ts');

const config = { ...readConfig({ home }), port: 0 };
await initHome(config, null);
const daemon = await serve(config);
process.stdout.write(`ready ${new URL(daemon.url ?? 'http://none').port}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'stop') break;
  offsetMs = Number(line.slice('clock '.length));
}
daemon.stop();
await daemon.stopped;
process.stdin.destroy();
