/** What the figures of a benchmark depend on besides the program. */
import { readFileSync, realpathSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { parseMountInfo } from '../src/substrate/home/suitability.ts';

/** The type of the file system under a folder. */
function fileSystem(folder: string): string {
  const path = realpathSync(folder);
  try {
    const under = parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'))
      .filter((mount) => mount.folder === '/' || path === mount.folder || path.startsWith(`${mount.folder}/`))
      .sort((a, b) => a.folder.length - b.folder.length)
      .at(-1);
    return under === undefined ? 'unknown' : under.type;
  } catch {
    return 'unknown';
  }
}

/** Facts for the head of a report. `folder` is where the benchmark works. */
export function machineFacts(folder: string): Record<string, string | number> {
  return {
    processor: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`,
    memory: `${(totalmem() / 2 ** 30).toFixed(0)} GB`,
    system: `${type()} ${release()}`,
    node: process.version,
    filesystem: `${fileSystem(folder)} (${folder})`,
    load: loadavg()
      .map((value) => value.toFixed(1))
      .join(' '),
  };
}
