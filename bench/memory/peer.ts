/** The official `server-memory`, installed for the benchmark into its own folder; null where it cannot be. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { record } from './records.ts';
import type { StdioClient } from './stdio.ts';
import { startStdio } from './stdio.ts';

const PACKAGE = '@modelcontextprotocol/server-memory';
const INSTALL_MS_MAX = 120_000;

/** The program that was installed. */
export async function installPeer(folder: string): Promise<string | null> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{"private":true}');
  try {
    const args = ['install', PACKAGE, '--no-audit', '--no-fund', '--ignore-scripts'];
    await promisify(execFile)('npm', args, { cwd: folder, timeout: INSTALL_MS_MAX });
    return path.join(folder, 'node_modules', PACKAGE, 'dist', 'index.js');
  } catch {
    return null;
  }
}

/** Serves a store of that many entities, each with one observation, written as its own file has them. */
export async function startPeer(program: string, folder: string, records: number): Promise<StdioClient> {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'memory.json');
  const out = createWriteStream(file);
  for (let nr = 0; nr < records; nr++) {
    const entity = { type: 'entity', name: `record ${nr}`, entityType: 'note', observations: [record(nr).text] };
    if (!out.write(`${nr === 0 ? '' : '\n'}${JSON.stringify(entity)}`)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
  return startStdio([program], { MEMORY_FILE_PATH: file });
}
