/**
 * The gate: everything a change must pass, in order, stopping at the first stage that fails.
 *
 *   gate.ts                   every stage, the tests last
 *   gate.ts check             every stage but the build and the tests
 *   gate.ts STAGE…            only these
 *   gate.ts tests ARGS…       only the tests, the arguments going to vitest
 *   gate.ts long ARGS…        the same with the heavy sizes
 *   gate.ts write             format the files instead of checking them
 *
 * The stages are data, so that test/gate can run the very same commands on code that is wrong.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { exitCodeOf, runChild } from './bootstrap/child.cjs';

/** One tool of the gate: a file below the root of the project, run by Node with these arguments. */
export interface Stage {
  readonly name: string;
  readonly script: string;
  readonly args: readonly string[];
}

const BIOME = 'node_modules/@biomejs/biome/bin/biome';
const VITEST = 'node_modules/vitest/vitest.mjs';

export const CHECKS: readonly Stage[] = [
  { name: 'format', script: BIOME, args: ['format', '--colors=off', '.'] },
  // Types-aware rules, layer rules and import cycles, all in one pass.
  {
    name: 'lint',
    script: 'node_modules/oxlint/bin/oxlint',
    args: ['--type-aware', '--report-unused-disable-directives-severity=error'],
  },
  { name: 'types', script: 'node_modules/typescript/bin/tsc', args: ['--noEmit', '--pretty', 'false'] },
  { name: 'unused', script: 'node_modules/knip/bin/knip.js', args: ['--no-progress', '--no-config-hints'] },
];

const BUILD: Stage = { name: 'build', script: 'scripts/run.cjs', args: ['build'] };

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** As much of vitest's JSON report as the closing line needs. */
interface Report {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/** Counts tests; a file that failed without a failing test (it did not load, say) counts as one. */
export function countTests(report: Report): Counts {
  const tests = report.testResults.flatMap((file) => file.assertionResults);
  const passed = tests.filter((test) => test.status === 'passed').length;
  const failedTests = tests.filter((test) => test.status === 'failed').length;
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  return { passed, failed: failedTests + brokenFiles, skipped: tests.length - passed - failedTests };
}

/** The closing line, in the form that test runners end with. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function secondsSince(startMs: number): string {
  return `${((performance.now() - startMs) / 1_000).toFixed(1)} s`;
}

/** Runs one stage and says so on one line; what it printed follows only if it failed. */
async function runStage(root: string, stage: Stage): Promise<number> {
  const startMs = performance.now();
  const ended = await runChild(process.execPath, [path.join(root, stage.script), ...stage.args], {
    cwd: root,
    capture: true,
  });
  const passed = ended.code === 0;
  print(`${stage.name.padEnd(7)} ${passed ? 'ok    ' : 'FAILED'} ${secondsSince(startMs)}`);
  if (passed) return 0;
  // Some tools colour what they print whenever CI is set, whatever NO_COLOR says.
  print(stripVTControlCharacters(ended.output).trim());
  print(`The gate stopped at: ${stage.name}`);
  return ended.interrupted === null ? ended.code || 1 : exitCodeOf(ended.interrupted);
}

function readCounts(file: string): Counts {
  if (!existsSync(file)) return { passed: 0, failed: 0, skipped: 0 };
  return countTests(JSON.parse(readFileSync(file, 'utf8')) as Report);
}

/** Runs vitest with its own output, then one line with the counts. */
async function runTests(root: string, args: readonly string[]): Promise<number> {
  const startMs = performance.now();
  const report = path.join(root, '.cache', `tests-${process.pid}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const ended = await runChild(process.execPath, [path.join(root, VITEST), 'run', ...reporters, ...args], {
    cwd: root,
  });
  const found = readCounts(report);
  rmSync(report, { force: true });
  const ranNone = found.passed + found.failed === 0;
  const broke = ended.code !== 0 || ranNone;
  // Something that is not one test's fault (an unhandled rejection, no test at all) is a failure too.
  const counts = { ...found, failed: broke ? Math.max(found.failed, 1) : found.failed };
  print(`tests   ${broke ? 'FAILED' : 'ok    '} ${secondsSince(startMs)}`);
  if (broke && found.failed === 0) {
    print(ranNone ? 'No test ran.' : `vitest ended with exit code ${ended.code} though no test failed; see above.`);
  }
  print(closingLine(counts));
  if (ended.interrupted !== null) return exitCodeOf(ended.interrupted);
  return broke ? ended.code || 1 : 0;
}

async function runStages(root: string, stages: readonly Stage[]): Promise<number> {
  for (const stage of stages) {
    const code = await runStage(root, stage);
    if (code !== 0) return code;
  }
  return 0;
}

function chooseStages(names: readonly string[]): Stage[] {
  return names.map((name) => {
    const stage = [...CHECKS, BUILD].find((candidate) => candidate.name === name);
    if (stage === undefined) throw new Error(`There is no stage ${name}.`);
    return stage;
  });
}

async function main(root: string, [what, ...rest]: readonly string[]): Promise<number> {
  if (what === undefined) return (await runStages(root, [...CHECKS, BUILD])) || runTests(root, []);
  if (what === 'check') return runStages(root, CHECKS);
  if (what === 'tests') return runTests(root, rest);
  if (what === 'long') {
    process.env['SEED_TEST_LONG'] = '1';
    return runTests(root, rest);
  }
  if (what === 'write') return runStage(root, { name: 'format', script: BIOME, args: ['format', '--write', '.'] });
  return runStages(root, chooseStages([what, ...rest]));
}

if (import.meta.main) {
  process.exitCode = await main(path.resolve(import.meta.dirname, '..'), process.argv.slice(2));
}
