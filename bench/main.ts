/**
 * `npm run bench -- <name>`: measures one part of the seed and says which goals are reached.
 *
 * A new benchmark is one file beside this one and one line in `BENCHES`.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bus } from './bus.ts';
import { gateway } from './gateway.ts';
import { ground } from './ground.ts';
import { handoff } from './handoff.ts';
import { mcp } from './mcp.ts';
import { memory } from './memory.ts';
import { mind } from './mind.ts';
import { router } from './router.ts';
import type { Bench, BenchReport } from './report.ts';
import { renderReport, reportJson } from './report.ts';

const BENCHES: Readonly<Record<string, Bench>> = { bus, gateway, ground, handoff, mcp, memory, mind, router };

const RECEIPTS = 100_000;
const RECEIPTS_FULL = 1_000_000;

class UsageError extends Error {}

function help(): string {
  const list = Object.entries(BENCHES).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`);
  return `Usage: npm run bench -- <name> [options]

Benchmarks:
${list.join('\n')}

Options:
  --json          print the report as JSON
  --full          with homes of ${RECEIPTS_FULL.toLocaleString('en')} receipts instead of ${RECEIPTS.toLocaleString('en')}
  --receipts <n>  with homes of that many receipts
  --rounds <n>    how often everything is measured, one after the other (default: 5)
  --dir <folder>  where to work (default: .cache in the project); use a disk, not memory
  --help          print this

Exit codes:
  0  measured, whether or not the goals are reached
  1  failed
  2  asked wrongly`;
}

function whole(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new UsageError(`--${name} must be a whole number from 1.`);
  return value;
}

function readArgs(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        full: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        receipts: { type: 'string' },
        rounds: { type: 'string' },
        dir: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function chooseBench(names: readonly string[]): Bench {
  const [name, ...more] = names;
  if (name === undefined) throw new UsageError('Name a benchmark.');
  const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
  if (bench === undefined) throw new UsageError(`There is no benchmark "${name}".`);
  if (more.length > 0) throw new UsageError('Name one benchmark at a time.');
  return bench;
}

async function measure(bench: Bench, values: ReturnType<typeof readArgs>['values']): Promise<BenchReport> {
  const base = path.resolve(values.dir ?? path.join(import.meta.dirname, '..', '.cache'));
  mkdirSync(base, { recursive: true });
  const folder = mkdtempSync(path.join(base, 'bench-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      remove();
      process.exit(1);
    });
  }
  try {
    return await bench.run({
      folder,
      rounds: whole('rounds', values.rounds, 5),
      receipts: whole('receipts', values.receipts, values.full ? RECEIPTS_FULL : RECEIPTS),
      say: (text) => process.stderr.write(`  ${text}\n`),
    });
  } finally {
    remove();
  }
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = readArgs(argv);
    if (values.help) {
      process.stdout.write(`${help()}\n`);
      return 0;
    }
    const report = await measure(chooseBench(positionals), values);
    process.stdout.write(`${values.json ? JSON.stringify(reportJson(report), null, 2) : renderReport(report)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`bench: ${error.message}\n\n${help()}\n`);
    return 2;
  }
}

process.exitCode = await main(process.argv.slice(2));
