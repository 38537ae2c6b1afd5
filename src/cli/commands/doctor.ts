import type { Command } from 'commander';
import type { Config } from '../../config.ts';
import { SeedError } from '../../errors.ts';
import type { Finding } from '../../substrate/health.ts';
import { EXIT, printJson, printLine, progressLine, spoken } from '../output.ts';
import { callOwnerDoor, SHORT_WAIT_MS } from '../owner-client.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface Examination {
  readonly findings: readonly Finding[];
  readonly worst: Finding['verdict'];
}

export function addDoctor(program: Command): void {
  const command = program.command('doctor').description('examine the home, the keys, the log and the disk');
  common(command, {
    examples: ['seed doctor', 'seed doctor --json'],
    exits: { ok: 'nothing is bad; there may be warnings', failed: 'something is bad' },
  }).action(doctor);
}

async function doctor(options: CommonOptions): Promise<void> {
  const examination = await examineThere(configOf(options));
  process.exitCode = examination.worst === 'bad' ? EXIT.failed : EXIT.ok;
  if (options.json === true) {
    printJson(examination);
    return;
  }
  for (const { check, verdict, says, advice } of examination.findings) {
    printLine(`${verdict.padEnd(7)}  ${check.padEnd(10)}  ${spoken(says)}`);
    if (advice !== '') printLine(`${' '.repeat(21)}→ ${spoken(advice)}`);
  }
}

/** The daemon's own examination; where there is none to ask, the home is examined as it lies there. */
async function examineThere(config: Config): Promise<Examination> {
  const { ownerSocketOf } = await import('../../main.ts');
  const progress = progressLine();
  try {
    const call = { tool: 'seed_doctor', input: {} };
    const options = { waitMs: SHORT_WAIT_MS, home: config.home };
    return (await callOwnerDoor(ownerSocketOf(config), call, progress.show, options)) as Examination;
  } catch (error) {
    if (!(error instanceof SeedError) || !['daemon_absent', 'daemon_failed', 'home_damaged'].includes(error.code))
      throw error;
    return await examineHere(config, daemonFinding(error), progress.show);
  } finally {
    progress.end();
  }
}

/** What only the daemon's own examination has lines on. */
const LIFE = 'models, access keys, messages, notices, the mind and coherence';

function daemonFinding({ code, message, hint }: SeedError): Finding {
  if (code === 'daemon_failed') return { check: 'daemon', verdict: 'bad', says: message, advice: hint };
  const advice = code === 'daemon_absent' ? hint : 'Mend what is bad below, then start it with `seed up`.';
  const says = `No daemon was found to serve this home, so ${LIFE} were not looked at.`;
  return { check: 'daemon', verdict: 'warning', says, advice };
}

/** Opens no more of the home than can be opened, and says of the rest why not. */
async function examineHere(
  { home, sqlite }: Config,
  daemon: Finding,
  onProgress: (done: number, total: number, what: string) => void,
): Promise<Examination> {
  const { examineHome, worstOf } = await import('../../substrate/health.ts');
  const { homePath } = await import('../../substrate/home/layout.ts');
  const { chooseDriver } = await import('../../substrate/store/connection.ts');
  const { openSqliteReader } = await import('../../substrate/store/sqlite.ts');
  const driver = chooseDriver(sqlite);
  let store: ReturnType<typeof openSqliteReader> | null = null;
  try {
    const findings = await examineHome({
      home,
      driver,
      read: async (fn) => {
        store ??= openSqliteReader(homePath(home, 'database'), driver);
        return store.read(fn);
      },
      signal: new AbortController().signal,
      onProgress: (done, total) => onProgress(done, total, 'receipts'),
    });
    return { findings: [daemon, ...findings], worst: worstOf([daemon, ...findings]) };
  } finally {
    await (store as ReturnType<typeof openSqliteReader> | null)?.close();
  }
}
