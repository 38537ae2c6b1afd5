/**
 * The gate's own test, in both directions: code without fault passes every stage, and code that
 * breaks one rule is found guilty of that rule and of nothing else, by the gate's own commands.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { CHECKS, closingLine, countTests } from '../../scripts/gate.ts';
import { CLEAN, LINT_FIXTURES } from './fixtures.ts';
import { makeProject, type Project, type Run } from './project.ts';

const TIMEOUT_MS = 120_000;

/** As much of oxlint's JSON output as is compared. */
interface LintReport {
  readonly diagnostics: readonly { readonly code: string; readonly filename: string }[];
  readonly number_of_files: number;
}

async function runCheck(project: Project, name: string, more: readonly string[] = []): Promise<Run> {
  const stage = CHECKS.find((candidate) => candidate.name === name);
  if (stage === undefined) throw new Error(`The gate has no stage ${name}.`);
  return project.run(stage.script, [...stage.args, ...more]);
}

async function lint(project: Project): Promise<{ code: number | null; found: string[]; files: number }> {
  const { code, output } = await runCheck(project, 'lint', ['--format=json']);
  const report = JSON.parse(output) as LintReport;
  const found = report.diagnostics.map(({ code: rule, filename }) => `${filename} ${rule}`);
  return { code, found: [...new Set(found)].toSorted(), files: report.number_of_files };
}

test('a clean project passes the whole gate, which ends with the counts', { timeout: TIMEOUT_MS }, async () => {
  using project = makeProject(CLEAN);
  const { code, output } = await project.run('scripts/gate.ts');
  expect(output.trimEnd().split('\n').at(-1), output).toBe('1 passed, 0 failed');
  expect(code).toBe(0);
  const stages = output.split('\n').filter((line) => /^\w+ +ok +[\d.]+ s$/.test(line));
  expect(stages.map((line) => line.split(' ')[0])).toEqual(['format', 'lint', 'types', 'unused', 'build', 'tests']);
  expect(existsSync(path.join(project.folder, 'dist', 'cli', 'cli.js'))).toBe(true);
});

test('the lint finds every broken rule, and nothing besides', { timeout: TIMEOUT_MS }, async () => {
  const broken = Object.fromEntries(LINT_FIXTURES.map(({ file, text }) => [file, text]));
  expect(Object.keys(broken), 'two fixtures share a file').toHaveLength(LINT_FIXTURES.length);
  using project = makeProject({ ...CLEAN, ...broken, 'test/lonely.ts': 'export const lonely = 1;\n' });
  const { code, found, files } = await lint(project);
  expect(found).toEqual(LINT_FIXTURES.map(({ file, rule }) => `${file} ${rule}`).toSorted());
  expect(code).not.toBe(0);
  expect(files).toBeGreaterThan(LINT_FIXTURES.length);
});

test('the other checks find what they are for', { timeout: TIMEOUT_MS }, async () => {
  const wrong = {
    'src/mind/bad-format.ts': 'export const list = [ 1,2 ]\n',
    'src/mind/bad-types.ts': `export const text: string = 1;\n`,
    'src/membrane/scopes.ts': `export type Scope = 'memory.read';\nexport const neverUsed = 1;\n`,
    'src/membrane/egress.ts': `import 'zod';\n\n${CLEAN['src/membrane/egress.ts']}`,
  };
  using project = makeProject({ ...CLEAN, ...wrong }, { pino: '10.4.0' });

  const format = await runCheck(project, 'format');
  expect(format.output).toContain('src/mind/bad-format.ts format');
  expect(format.output.match(/^\S+ format /gm)).toHaveLength(1);
  expect(format.code).not.toBe(0);

  const types = await runCheck(project, 'types');
  expect(types.output.trim()).toMatch(/^src\/mind\/bad-types\.ts\(1,14\): error TS2322: .*$/);
  expect(types.code).not.toBe(0);

  const unused = await runCheck(project, 'unused');
  expect(unused.output).toMatch(/Unused files \(2\)\nsrc\/mind\/bad-format\.ts\s+src\/mind\/bad-types\.ts\s/);
  expect(unused.output).toMatch(/Unused dependencies \(1\)\npino /);
  expect(unused.output).toMatch(/Unlisted dependencies \(1\)\nzod /);
  expect(unused.output).toMatch(/Unused exports \(1\)\nneverUsed /);
  expect(unused.code).not.toBe(0);
});

test('the gate stops at the first stage that fails, and shows why', { timeout: TIMEOUT_MS }, async () => {
  using project = makeProject({ ...CLEAN, 'src/mind/bad-any.ts': 'export type Anything = any;\n' });
  const { code, output } = await project.run('scripts/gate.ts');
  expect(output).toMatch(/^format +ok/);
  expect(output).toMatch(/^lint +FAILED/m);
  expect(output).toContain('no-explicit-any');
  expect(output).not.toMatch(/^(types|unused|build|tests) /m);
  expect(code).not.toBe(0);
});

test('a run without a test, and a run with a failing one, fail', { timeout: TIMEOUT_MS }, async () => {
  const { 'test/clean.test.ts': passing, ...untested } = CLEAN;
  using project = makeProject(untested);
  const none = await project.run('scripts/gate.ts', ['tests']);
  expect(none.output.trimEnd().split('\n').at(-1)).toBe('0 passed, 1 failed');
  expect(none.output).toContain('No test ran.');
  expect(none.code).not.toBe(0);

  project.write('test/clean.test.ts', passing ?? '');
  project.write(
    'test/failing.test.ts',
    `import { expect, test } from 'vitest';\n\ntest('no', () => expect(1).toBe(2));\n`,
  );
  const failing = await project.run('scripts/gate.ts', ['tests']);
  expect(failing.output.trimEnd().split('\n').at(-1)).toBe('1 passed, 1 failed');
  expect(failing.code).not.toBe(0);
});

test('the counts are those of the report, a file that does not load being one failure', () => {
  const counts = countTests({
    testResults: [
      { status: 'passed', assertionResults: [{ status: 'passed' }, { status: 'pending' }, { status: 'todo' }] },
      { status: 'failed', assertionResults: [{ status: 'passed' }, { status: 'failed' }] },
      { status: 'failed', assertionResults: [] },
    ],
  });
  expect(closingLine(counts)).toBe('2 passed, 2 failed, 2 skipped');
});
