/** Starts processes on one CPU and within so much memory, where this machine lets a test do that. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const CGROUPS = '/sys/fs/cgroup';

export interface Limits extends Disposable {
  /** Goes before a command: it becomes one under the limits. */
  readonly under: readonly string[];
  /** What holds, in words; what does not is to be measured. */
  readonly says: string;
  /** The most that all of it ever took, in MB; null where nothing holds it. */
  readonly peakMb: () => number | null;
}

export function limitsOf({ memoryMb }: { memoryMb: number }): Limits {
  const pin = canPin() ? ['taskset', '-c', '0'] : [];
  const group = makeGroup(memoryMb * 1_048_576);
  const enter =
    group === null ? [] : ['sh', '-c', 'echo $$ > "$0" && exec "$@"', path.join(group.folder, 'cgroup.procs')];
  return {
    under: [...enter, ...pin],
    says: `${pin.length === 0 ? 'every CPU' : '1 CPU'}, ${group === null ? 'memory measured, not limited' : `${memoryMb} MB`}`,
    peakMb: () => (group === null ? null : Number(readFileSync(group.peak, 'utf8')) / 1_048_576),
    [Symbol.dispose]: () => {
      if (group !== null) rmdirSync(group.folder);
    },
  };
}

function canPin(): boolean {
  try {
    execFileSync('taskset', ['-c', '0', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

interface Group {
  readonly folder: string;
  /** The file that says how much it took at most. */
  readonly peak: string;
}

/** A group beside the one that the tests run in; null where this user may make none. */
function makeGroup(bytes: number): Group | null {
  const isV2 = existsSync(path.join(CGROUPS, 'cgroup.controllers'));
  const root = isV2 ? CGROUPS : path.join(CGROUPS, 'memory');
  const names = isV2
    ? { limit: 'memory.max', swap: 'memory.swap.max', peak: 'memory.peak' }
    : { limit: 'memory.limit_in_bytes', swap: null, peak: 'memory.max_usage_in_bytes' };
  const folder = path.join(root, `seed-test-${process.pid}`);
  try {
    accessSync(root, constants.W_OK);
    mkdirSync(folder);
  } catch {
    return null;
  }
  try {
    writeFileSync(path.join(folder, names.limit), `${bytes}`);
    if (names.swap !== null && existsSync(path.join(folder, names.swap)))
      writeFileSync(path.join(folder, names.swap), '0');
    const peak = path.join(folder, names.peak);
    readFileSync(peak);
    return { folder, peak };
  } catch {
    // Without the memory controller the group holds nothing.
    rmdirSync(folder);
    return null;
  }
}

/** The most resident memory that a process ever had, in MB; null where the system does not say. */
export function peakResidentMb(pid: number): number | null {
  return memoryOf(pid, 'VmHWM');
}

/** Its resident memory now, in MB; null where the system does not say. */
export function residentMb(pid: number): number | null {
  return memoryOf(pid, 'VmRSS');
}

function memoryOf(pid: number, what: string): number | null {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return null;
  const kb = new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(file, 'utf8'))?.[1];
  return kb === undefined ? null : Number(kb) / 1_024;
}
