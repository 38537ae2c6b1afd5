/** The real command on files in a folder of the test's own. */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { clientFile, CLIENT_NAMES, CLIENTS } from '../../../src/cli/connect/clients.ts';
import { nodeBinary, startsSeed } from '../../../src/cli/connect/command-line.ts';
import { shellLine } from '../../../src/cli/shell.ts';

const LAUNCHER = join(import.meta.dirname, '..', '..', '..', 'bin', 'seed.cjs');
const scratch = mkdtempSync(join(tmpdir(), 'seed-connect-'));
let folders = 0;

afterAll(() => rmSync(scratch, { recursive: true }));

/** A fresh folder. */
function folder(): string {
  const path = join(scratch, String(folders++));
  mkdirSync(path);
  return path;
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function seed(
  args: readonly string[],
  { cwd = scratch, home = scratch }: { cwd?: string; home?: string } = {},
): Promise<Ran> {
  const env = { PATH: '/usr/bin:/bin', HOME: home, SEED_HOME: join(scratch, 'home') };
  return new Promise((resolve) => {
    execFile(process.execPath, [LAUNCHER, ...args], { cwd, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

interface Entry {
  readonly type?: string;
  readonly command: string;
  readonly args: readonly string[];
}

function entryIn(file: string, servers: string, name = 'seed'): Entry | undefined {
  const document = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, Entry>>;
  return document[servers]?.[name];
}

describe.each(CLIENT_NAMES)('%s', (name) => {
  const { servers, saysType } = CLIENTS[name];

  test('written fresh, a second run changes nothing, taken out again', async () => {
    const file = join(folder(), 'new', 'config.json');
    const connect = ['connect', name, '--write', '--config-file', file, '--json'];
    const first = await seed(connect);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(first.stdout)).toMatchObject({ client: name, file, change: 'added', backup: null });
    const entry = entryIn(file, servers);
    expect(entry?.type).toBe(saysType ? 'stdio' : undefined);
    expect(entry?.args).toEqual([LAUNCHER, 'mcp', '--as', name, '--home', join(scratch, 'home')]);
    expect(isAbsolute(entry?.command ?? '')).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    const written = readFileSync(file, 'utf8');
    const second = await seed(connect);
    expect(JSON.parse(second.stdout)).toMatchObject({ change: 'none', backup: null });
    expect(readFileSync(file, 'utf8')).toBe(written);

    const out = await seed(['disconnect', name, '--config-file', file, '--json']);
    expect(JSON.parse(out.stdout)).toMatchObject({ client: name, change: 'removed', backup: `${file}.seed-backup` });
    // Nothing is left of what connecting made.
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({});
    expect(readdirSync(join(file, '..')).toSorted()).toEqual(['config.json', 'config.json.seed-backup']);
  });

  test('without --write it prints what it would write, and writes nothing', async () => {
    const file = join(folder(), 'config.json');
    const { stdout, code } = await seed(['connect', name, '--config-file', file]);
    expect(code).toBe(0);
    expect(stdout).toContain(file);
    const shown = JSON.parse(stdout.slice(stdout.indexOf('{'), stdout.lastIndexOf('}') + 1)) as object;
    expect(shown).toHaveProperty([servers, 'seed', 'args', 1], 'mcp');
    expect(existsSync(file)).toBe(false);
  });
});

describe('a file that is there', () => {
  test('comments, mode and link stay, the old text is kept beside it', async () => {
    const at = folder();
    const real = join(at, 'real.json');
    const link = join(at, 'mcp.json');
    const text = '{\n\t// mine\n\t"servers": {\n\t\t"git": { "command": "git-mcp" }, // keep\n\t},\n}\n';
    writeFileSync(real, text);
    chmodSync(real, 0o640);
    symlinkSync('real.json', link);
    const { stdout } = await seed(['connect', 'vscode', '--write', '--config-file', link, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ file: real, change: 'added', backup: `${real}.seed-backup` });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(statSync(real).mode & 0o777).toBe(0o640);
    expect(readFileSync(`${real}.seed-backup`, 'utf8')).toBe(text);
    expect(readFileSync(real, 'utf8')).toContain('// keep');
    await seed(['disconnect', 'vscode', '--config-file', link]);
    expect(readFileSync(real, 'utf8')).toBe(text);
  });

  test('each copy stays that says something else', async () => {
    const file = join(folder(), 'mcp.json');
    const texts = ['{"mcpServers": {"a": {}}}', '{"mcpServers": {"b": {}}}'];
    const backups: string[] = [];
    for (const text of [...texts, ...texts]) {
      writeFileSync(file, text);
      const { stdout } = await seed(['connect', 'cursor', '--write', '--config-file', file, '--json']);
      const { backup } = JSON.parse(stdout) as { backup: string };
      expect(readFileSync(backup, 'utf8')).toBe(text);
      backups.push(backup);
    }
    const [first, second] = [`${file}.seed-backup`, `${file}.seed-backup-2`];
    expect(backups).toEqual([first, second, first, second]);
  });

  test('a link that leads nowhere is refused, and stays', async () => {
    const at = folder();
    const link = join(at, 'mcp.json');
    symlinkSync(join(at, 'away', 'mcp.json'), link);
    const { code, stderr } = await seed(['connect', 'cursor', '--write', '--config-file', link]);
    expect(code).toBe(1);
    expect(stderr).toContain('is a link that leads nowhere');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readdirSync(at)).toEqual(['mcp.json']);
  });

  test.each([
    ['broken', '{ "mcpServers": {'],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['with a comment, where the client allows none', '{} // mine'],
  ])('%s: refused, nothing written', async (_what, content) => {
    const at = folder();
    const file = join(at, 'config.json');
    writeFileSync(file, content);
    const { code, stderr } = await seed(['connect', 'claude-desktop', '--write', '--config-file', file]);
    expect(code).toBe(1);
    expect(stderr).toContain('Nothing was written');
    expect(readFileSync(file).equals(Buffer.from(content))).toBe(true);
    expect(readdirSync(at)).toEqual(['config.json']);
  });

  test('a move of the seed is an update, and the user’s own additions stay', async () => {
    const file = join(folder(), 'mcp.json');
    await seed(['connect', 'cursor', '--write', '--config-file', file, '--home', '/srv/old']);
    writeFileSync(file, readFileSync(file, 'utf8').replace('"command"', '"env": { "A": "1" },\n      "command"'));
    const { stdout } = await seed([
      'connect',
      'cursor',
      '--write',
      '--config-file',
      file,
      '--json',
      '--home',
      '/srv/new',
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ change: 'updated' });
    expect(entryIn(file, 'mcpServers')).toMatchObject({
      env: { A: '1' },
      args: expect.arrayContaining(['/srv/new']) as unknown,
    });
  });
});

describe('where the files are', () => {
  test('the user’s own and the project’s', async () => {
    const at = folder();
    const user = await seed(['connect', 'cursor', '--write', '--json'], { home: at, cwd: at });
    expect(JSON.parse(user.stdout)).toMatchObject({ file: join(at, '.cursor', 'mcp.json') });
    const project = await seed(['connect', 'claude-code', '--scope', 'project', '--write', '--json'], {
      home: at,
      cwd: at,
    });
    expect(JSON.parse(project.stdout)).toMatchObject({ file: join(at, '.mcp.json'), change: 'added' });
    expect(readdirSync(at).toSorted()).toEqual(['.cursor', '.mcp.json']);
  });

  test('by platform', () => {
    const at = (platform: NodeJS.Platform) =>
      CLIENT_NAMES.map((name) => clientFile(CLIENTS[name], 'user', { home: '/h', platform }));
    expect(at('darwin')).toEqual([
      '/h/Library/Application Support/Claude/claude_desktop_config.json',
      '/h/.claude.json',
      '/h/.cursor/mcp.json',
      '/h/Library/Application Support/Code/User/mcp.json',
    ]);
    expect(at('linux')).toEqual([
      '/h/.config/Claude/claude_desktop_config.json',
      '/h/.claude.json',
      '/h/.cursor/mcp.json',
      '/h/.config/Code/User/mcp.json',
    ]);
  });

  test('Claude Desktop has none for a project', async () => {
    const { code, stderr } = await seed(['connect', 'claude-desktop', '--scope', 'project']);
    expect(code).toBe(2);
    expect(stderr).toContain('--scope');
  });
});

describe('without a file', () => {
  test('the inspector’s command line', async () => {
    const { stdout } = await seed(['connect', 'inspector', '--home', '/srv/it’s here']);
    // Quoted where the path needs it.
    expect(stdout).toMatch(/npx @modelcontextprotocol\/inspector [^\n]*\/node/);
    expect(stdout).toContain(process.execPath);
    expect(stdout).toContain("--home '/srv/it’s here'");
    expect((await seed(['connect', 'inspector', '--write'])).code).toBe(2);
  });

  test('http: the address and the header', async () => {
    const home = join(folder(), 'home');
    await seed(['init', '--home', home]);
    const { stdout } = await seed(['connect', 'http', '--home', home, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/mcp$/) as unknown,
      headers: { Authorization: 'Bearer KEY' },
    });
    expect((await seed(['connect', 'http', '--home', join(home, 'absent')])).code).toBe(1);
  });
});

test('a Node of Homebrew’s is named by the link that stays', () => {
  const at = folder();
  const cellar = join(at, 'Cellar', 'node', '24.1.0', 'bin');
  mkdirSync(cellar, { recursive: true });
  writeFileSync(join(cellar, 'node'), '');
  expect(nodeBinary(join(cellar, 'node'))).toBe(join(cellar, 'node'));
  mkdirSync(join(at, 'opt'));
  symlinkSync(join(at, 'Cellar', 'node', '24.1.0'), join(at, 'opt', 'node'));
  expect(nodeBinary(join(cellar, 'node'))).toBe(join(at, 'opt', 'node', 'bin', 'node'));
});

test('which entries start a seed', () => {
  expect(startsSeed({ command: '/n/node', args: ['/x/bin/seed.cjs', 'mcp'] })).toBe(true);
  expect(startsSeed({ command: 'seed', args: ['mcp', '--as', 'x'] })).toBe(true);
  expect(startsSeed({ command: 'seed', args: ['database'] })).toBe(false);
  expect(startsSeed({ command: 'linseed', args: ['mcp'] })).toBe(false);
  expect(startsSeed({ url: 'http://127.0.0.1' })).toBe(false);
});

test('words that a shell would take apart are quoted', () => {
  expect(shellLine(['a', 'b c', "it's", ''])).toBe(`a 'b c' 'it'\\''s' ''`);
});
