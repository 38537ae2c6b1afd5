/**
 * A seed under load, to be killed: sixteen writers, each acknowledged operation on a line of its own.
 *
 *   load.ts HOME DRIVER ROUND [POINT NTH]
 *
 * It says `begun` before it opens the home and `open` after; then `put SEQ HASH`, `erase SEQ HASH`,
 * `intent SEQ`, `settled SEQ OF` and `refused SEQ`, each once it is durable.
 */
import { writeSync } from 'node:fs';
import { SeedError } from '../../src/errors.ts';
import { eraseContent, putContent } from '../../src/substrate/content.ts';
import { lockHome } from '../../src/substrate/home/lock.ts';
import type { SqliteDriver } from '../../src/substrate/store/connection.ts';
import { systemSources } from '../../src/substrate/sources.ts';
import { openSubstrate } from '../../src/substrate/substrate.ts';
import { CURSOR } from '../support/home.ts';
import { seededBytes, seededNumbers } from '../support/sources.ts';

const [home = '', driver = '', round = '', point, nth = '1'] = process.argv.slice(2);
const WRITERS = 16;

const say = (line: string): void => void writeSync(1, `${line}\n`);

let passed = 0;
const fault = (at: string): void => {
  if (at === point && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL');
};

say('begun');
await lockHome(home, { driver: driver as SqliteDriver, role: 'daemon', waitMs: 10_000 });
const substrate = await openSubstrate({ home, driver: driver as SqliteDriver, sources: systemSources, fault });
if (substrate.distrust !== null) throw substrate.distrust;
say(`open ${(await substrate.log()).size}`);

async function put(bytes: (count: number) => Uint8Array, size: number): Promise<string> {
  const { value, seq } = await substrate.operate({ action: 'note.put', actor: CURSOR }, async (op) => {
    const input = await putContent(op, bytes(size), { sources: systemSources });
    op.receipt({ input });
    return input;
  });
  say(`put ${seq} ${value}`);
  return value;
}

async function erase(hash: string): Promise<void> {
  const { seq } = await substrate.operate({ action: 'note.erase', actor: CURSOR }, async (op) => {
    op.receipt({ subject: { type: 'content', id: hash } });
    await eraseContent(op, [hash]);
  });
  say(`erase ${seq} ${hash}`);
}

async function settle(): Promise<void> {
  const intent = await substrate.operate({ action: 'note.send', actor: CURSOR }, async (op) => {
    op.receipt({ outcome: 'intent' });
  });
  say(`intent ${intent.seq}`);
  const { seq } = await substrate.operate({ action: 'note.send', actor: CURSOR }, async (op) => {
    op.receipt({ of: intent.seq });
  });
  say(`settled ${seq} ${intent.seq}`);
}

async function refused(bytes: (count: number) => Uint8Array): Promise<void> {
  const failing = substrate.operate({ action: 'note.put', actor: CURSOR }, async (op) => {
    op.receipt({ input: await putContent(op, bytes(50), { sources: systemSources }) });
    throw new SeedError('conflict', 'No.', { hint: 'Do not.' });
  });
  const error = await failing.then(
    () => null,
    (thrown: unknown) => thrown as SeedError,
  );
  say(`refused ${String(error?.data['receipt'])}`);
}

async function write(name: string): Promise<never> {
  const [bytes, random] = [seededBytes(name), seededNumbers(name)];
  for (let mine: string[] = []; ; ) {
    const what = random(10);
    if (what < 5) mine.push(await put(bytes, 20 + random(3_000)));
    else if (what < 7) await settle();
    else if (what < 8) await refused(bytes);
    else if (what < 9) await substrate.maintain((tx) => tx.run('DELETE FROM substrate_growth'));
    else {
      for (const hash of mine) await erase(hash);
      mine = [];
    }
  }
}

await Promise.all(Array.from({ length: WRITERS }, (_, index) => write(`${round} ${index}`)));
