/**
 * Exports or verifies in a process of its own, so that its memory can be told:
 *
 *   child.ts export HOME OUT
 *   child.ts verify OUT node|noble [RECEIPTS]
 *
 * Prints one line of JSON. Verification reads the folder from the disk, with the portable verifier
 * and nothing pinned elsewhere than in that folder.
 */
import { createReadStream, readFileSync } from 'node:fs';
import path from 'node:path';
import { createLogVerifier } from '../../src/formats/verify.ts';
import { exportLog } from '../../src/substrate/receipts/export.ts';
import { fastSha256 } from '../../src/substrate/receipts/sha256.ts';
import { systemSources } from '../../src/substrate/sources.ts';
import { openSubstrateReader } from '../../src/substrate/substrate.ts';

const CHUNK_BYTES = 1024 * 1024;

async function exportHome(home: string, out: string): Promise<number> {
  const reader = openSubstrateReader({ home, driver: 'better-sqlite3', sources: systemSources });
  const { size, checkpoint } = await reader.log();
  await exportLog(reader, { out, size, checkpoint, signal: new AbortController().signal, onProgress: () => {} });
  await reader.close();
  return size;
}

async function verifyFolder(folder: string, sha: string): Promise<number> {
  const root = readFileSync(path.join(folder, 'root', '1.json'), 'utf8');
  const verifier = createLogVerifier({
    roots: [root],
    pinnedRoot: root,
    checkpoint: readFileSync(path.join(folder, 'checkpoint'), 'utf8'),
    ...(sha === 'node' ? { sha: fastSha256 } : {}),
  });
  const lines = createReadStream(path.join(folder, 'receipts.jsonl'), { highWaterMark: CHUNK_BYTES });
  for await (const chunk of lines as AsyncIterable<Buffer>) verifier.write(chunk);
  const { verdict, size, firstBroken } = verifier.finish();
  if (verdict !== 'proven') throw new Error(`The export is ${verdict}: ${firstBroken?.message ?? ''}`);
  return size;
}

const [what, from = '', to = ''] = process.argv.slice(2);
const start = performance.now();
const receipts = what === 'export' ? await exportHome(from, to) : await verifyFolder(from, to);
const perSecond = (receipts * 1_000) / (performance.now() - start);
const peakMb = process.resourceUsage().maxRSS / 1_024;
process.stdout.write(`${JSON.stringify({ receipts, perSecond, peakMb })}\n`);
