/** What every command says of itself, and how it answers what it was asked wrongly. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { buildProgram, VERBS } from '../../src/cli/cli.ts';
import { counted, spoken, spokenExample } from '../../src/cli/output.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { initHome, seed, seedJson } from './seed.ts';

/** Speaks a protocol on standard output instead of answering. */
const PIPES = new Set(['mcp']);

function leaves(command: Command, path: readonly string[] = []): { path: string; command: Command }[] {
  if (command.commands.length === 0) return [{ path: path.join(' '), command }];
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}

const PROGRAM = await buildProgram('0.0.0');
const COMMANDS = leaves(PROGRAM);

test('each verb is found by its name alone', () => {
  expect(PROGRAM.commands.map((command) => command.name()).toSorted()).toEqual([...VERBS].toSorted());
});

test('there are commands to look at', () => {
  expect(COMMANDS.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['up', 'down', 'status', 'init', 'doctor', 'receipts list', 'receipts verify']),
  );
});

test.each(COMMANDS)('$path: help with examples and exit codes, --json and --home', ({ path, command }) => {
  const help = helpOf(command);
  expect(command.description()).not.toBe('');
  expect(help).toMatch(new RegExp(`Examples:\n(?:.*\\n)*.*seed ${path}`));
  expect(help).toMatch(/Exit codes:\n {2}0 {2}\S.*\n {2}1 {2}\S.*\n {2}2 {2}\S/);
  expect(help).toContain('--home <dir>');
  if (!PIPES.has(path)) expect(help).toContain('--json');
});

const WRONG: readonly (readonly [argv: readonly string[], message: RegExp, hint: string])[] = [
  [['frobnicate'], /unknown command 'frobnicate'/i, '`seed --help`'],
  [['statu'], /unknown command 'statu'/i, 'Did you mean status?'],
  [['receipts', 'lst'], /unknown command 'lst'/i, 'Did you mean list?'],
  [['init', '--foo'], /unknown option '--foo'/i, '`seed init --help`'],
  [['status', '--home'], /name a path/i, '`seed status --help`'],
  [['receipts', 'show', 'x'], /whole number from 0/, '`seed receipts show --help`'],
  [['receipts', 'list', '--outcome', 'fine'], /allowed choices are intent, ok/i, '`seed receipts list --help`'],
  [['receipts', 'list', '--csv'], /'--csv' cannot be used with option '--json'/, '`seed receipts list --help`'],
  [['up', '--print-unit', 'cron'], /allowed choices are systemd, launchd/i, '`seed up --help`'],
];

test.each(WRONG)('asked wrongly: seed %j exits 2 and says so as JSON', async (argv, message, hint) => {
  const { code, answer } = await seedJson<ErrorAnswer>(argv);
  expect(code).toBe(2);
  expect(answer.error.code).toBe('invalid_input');
  expect(answer.error.message).toMatch(message);
  expect(answer.error.hint).toContain(hint);
});

test('what only the tool finds wrong is told with the help of the command', async () => {
  using room = scratch();
  await initHome(room.at('home'));
  const wrong = await seed(['task', 'add', 'x', '--deadline', 'yesterday', '--home', room.at('home')]);
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toMatch(/^seed: deadline must be a date.*\n +See `seed task add --help`\.\n$/);
  const reserved = await seed(['key', 'issue', 'owner', '--home', room.at('home')]);
  expect(reserved.stderr).toContain(
    'name must be another one: owner, seed, external-sql and what begins with seed- are',
  );
  expect(reserved.stderr).toContain('See `seed key issue --help`.');
  const key = room.at('no-key.pem');
  writeFileSync(key, '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n');
  const strange = await seed(['key', 'issue', 'ci', '--public-key', key, '--home', room.at('home')]);
  expect(strange.stderr).toContain('no-key.pem is not an Ed25519 public key.');
});

test('asked wrongly without --json: two lines on stderr, nothing on stdout', async () => {
  const { code, stdout, stderr } = await seed(['receipts', 'export']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toBe("seed: Required option '--out <dir>' not specified.\n      See `seed receipts export --help`.\n");
});

test('a group without a command shows its help on stderr and exits 2', async () => {
  const { code, stdout, stderr } = await seed(['receipts']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('Usage: seed receipts [options] [command]');
  expect(stderr).toMatch(/seed: Name a command\.\n +See `seed receipts --help`\.\n$/);
});

test('an environment variable with a wrong value is named', async () => {
  const { code, stderr } = await seed(['status'], { env: { SEED_PORT: 'web' } });
  expect(code).toBe(2);
  expect(stderr).toContain('SEED_PORT must be a port from 0 to 65535.');
});

test('help and version go to stdout and exit 0', async () => {
  const [help, version] = [await seed(['receipts', 'list', '--help']), await seed(['--version'])];
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toContain('Usage: seed receipts list');
  expect(version).toMatchObject({ code: 0, stderr: '' });
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
});

test('a count goes with its noun', () => {
  expect([0, 1, 2].map((count) => counted(count, 'tool call'))).toEqual([
    '0 tool calls',
    '1 tool call',
    '2 tool calls',
  ]);
  expect([1, 2].map((count) => counted(count, 'memory'))).toEqual(['1 memory', '2 memories']);
});

test('texts name the command as it is typed here, and nothing that only looks like it', () => {
  const before = process.env['SEED_COMMAND'];
  try {
    process.env['SEED_COMMAND'] = 'npm run -s seed --';
    expect(spoken('Start it with `seed up`; `seed status` tells. A seed is.')).toBe(
      'Start it with `npm run -s seed -- up`; `npm run -s seed -- status` tells. A seed is.',
    );
    expect(spokenExample('SEED_HOME=/srv/seed seed up > ~/seed.service')).toBe(
      'SEED_HOME=/srv/seed npm run -s seed -- up > ~/seed.service',
    );
    process.env['SEED_COMMAND'] = 'rm -rf $HOME;';
    expect(spoken('`seed up`')).toBe('`seed up`');
  } finally {
    if (before === undefined) delete process.env['SEED_COMMAND'];
    else process.env['SEED_COMMAND'] = before;
  }
});
