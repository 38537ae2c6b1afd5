/** The bootstrap (scripts/run.cjs), on an installed project: building, and standing in for its child. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { CLEAN } from './fixtures.ts';
import { makeProject, plainEnvironment, type Project } from './project.ts';

/** Says who it is and with what arguments; with `wait`, goes on until a signal and then exits with 7. */
const CLI = `function sayHello(argv: readonly string[]): void {
  process.stdout.write(\`\${process.versions.node} \${JSON.stringify(argv)} \${process.pid}\\n\`);
}

export async function main(argv: readonly string[]): Promise<number> {
  if (!argv.includes('wait')) {
    sayHello(argv);
    return 0;
  }
  const timer = setInterval(() => {}, 1_000);
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        process.stdout.write(\`\${signal}\\n\`);
        clearInterval(timer);
        resolve(7);
      });
    }
    sayHello(argv);
  });
}
`;
const FILES = { ...CLEAN, 'src/cli/cli.ts': CLI };

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

interface Waiting {
  readonly child: ChildProcess;
  /** The process that the bootstrap stands in for. */
  readonly pid: number;
  readonly output: () => string;
}

/** Starts `seed wait` the way npm does and resolves once it runs. */
async function startWaiting(project: Project, env: NodeJS.ProcessEnv, wrap: readonly string[] = []): Promise<Waiting> {
  const [command, ...args] = [...wrap, process.execPath, 'scripts/run.cjs', 'seed', 'wait'];
  if (command === undefined) throw new Error('nothing to start');
  const child = spawn(command, args, { cwd: project.folder, env, stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const pid = await vi.waitUntil(() => Number(/\] (\d+)\n/.exec(text)?.[1] ?? 0), { timeout: 20_000 });
  return { child, pid, output: () => text };
}

test('builds what is stale and nothing else, and passes arguments on', async () => {
  using project = makeProject(FILES);
  const first = await project.run('scripts/run.cjs', ['seed', 'one', 'two words']);
  expect(first.output).toMatch(/^building…\n24\.[\d.]+ \["one","two words"\] \d+\n$/);
  expect(first.code).toBe(0);
  const again = await project.run('scripts/run.cjs', ['seed']);
  expect(again.output).toMatch(/^24\.[\d.]+ \[\] \d+\n$/);

  const built = path.join(project.folder, 'dist', 'mind', 'think.js');
  for (const damage of [
    () => rmSync(built),
    () => writeFileSync(built, 'half a fi'),
    () => project.write('src/mind/think.ts', `${CLEAN['src/mind/think.ts']}// changed\n`),
    () => rmSync(path.join(project.folder, '.cache'), { recursive: true }),
  ]) {
    damage();
    const { code, output } = await project.run('scripts/run.cjs', ['build']);
    expect(output).toBe('building…\n');
    expect(code).toBe(0);
    expect(readFileSync(built, 'utf8')).toContain('export async function think');
  }

  rmSync(path.join(project.folder, 'src', 'tools'), { recursive: true });
  project.write('src/doors/http.ts', 'export const serve = (): string => "";\n');
  project.write('src/substrate/home/note.json', '{}\n');
  await project.run('scripts/run.cjs', ['build']);
  expect(existsSync(path.join(project.folder, 'dist', 'tools', 'ask.js'))).toBe(false);
  expect(readFileSync(path.join(project.folder, 'dist', 'substrate', 'home', 'note.json'), 'utf8')).toBe('{}\n');
});

test('a build that fails leaves the last good one, and says so', async () => {
  using project = makeProject(FILES);
  await project.run('scripts/run.cjs', ['build']);
  project.write('src/mind/think.ts', 'export const think: string = 1;\n');
  const { code, output } = await project.run('scripts/run.cjs', ['seed', 'up']);
  expect(output).toMatch(/^building…\nsrc\/mind\/think\.ts\(1,14\): error TS2322/);
  expect(output.trimEnd().split('\n').at(-1)).toBe('The build failed; see above.');
  expect(code).toBe(1);
  expect(readFileSync(path.join(project.folder, 'dist', 'mind', 'think.js'), 'utf8')).toContain('think(fetch');
});

test('starts at the same time wait for one build', async () => {
  using project = makeProject(FILES);
  const runs = await Promise.all([1, 2, 3].map(async () => project.run('scripts/run.cjs', ['seed', 'go'])));
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(runs.filter(({ output }) => output.includes('building'))).toHaveLength(1);
});

test('a lock that was left behind is taken over, a living one is not', async () => {
  using project = makeProject(FILES);
  const lock = path.join(project.folder, '.cache', 'bootstrap.lock');
  mkdirSync(path.dirname(lock));
  const gone = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(gone, 'exit');
  writeFileSync(lock, JSON.stringify({ id: 'gone', host: hostname(), pids: [gone.pid] }));
  expect((await project.run('scripts/run.cjs', ['build'])).code).toBe(0);
  expect(existsSync(lock)).toBe(false);

  rmSync(path.join(project.folder, '.cache', 'built'));
  writeFileSync(lock, JSON.stringify({ id: 'alive', host: hostname(), pids: [gone.pid, process.pid] }));
  let ended = false;
  const waiting = project.run('scripts/run.cjs', ['build']).then((result) => {
    ended = true;
    return result;
  });
  // It says that it waits after a second; that it has not ended by then is the point.
  await sleep(1_500);
  expect(ended).toBe(false);
  rmSync(lock);
  expect((await waiting).output).toBe('waiting for another start that is installing or building…\nbuilding…\n');
});

test('signals and exit codes go through', async () => {
  using project = makeProject(FILES);
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const { child, pid, output } = await startWaiting(project, plainEnvironment());
    child.kill(signal);
    child.kill(signal);
    const [code] = (await once(child, 'close')) as [number | null];
    expect(output().trimEnd().split('\n').slice(1)).toEqual([signal]);
    expect(code).toBe(7);
    expect(isAlive(pid)).toBe(false);
  }
});

test('when npm is killed, the child is stopped', async () => {
  using project = makeProject(FILES);
  // A shell that stays in between plays npm; the second command keeps it from handing over its process.
  const asNpm = ['/bin/sh', '-c', '"$@"; :', 'sh'];
  const { child, pid, output } = await startWaiting(
    project,
    { ...plainEnvironment(), npm_lifecycle_event: 'start' },
    asNpm,
  );
  child.kill('SIGKILL');
  await vi.waitUntil(() => !isAlive(pid), { timeout: 10_000 });
  expect(output()).toContain('SIGTERM');
});

/** Gives a project packages of its own: links to the real ones, but for those that are to be broken. */
function ownModules(project: Project, broken: readonly string[]): string {
  const [modules, real] = [
    path.join(project.folder, 'node_modules'),
    realpathSync(path.join(project.folder, 'node_modules')),
  ];
  rmSync(modules);
  mkdirSync(modules);
  for (const name of readdirSync(real)) {
    if (name.startsWith('.seed-installed') || name === '.package-lock.json') {
      copyFileSync(path.join(real, name), path.join(modules, name));
    } else if (broken.includes(name)) {
      mkdirSync(path.join(modules, name));
      copyFileSync(path.join(real, name, 'package.json'), path.join(modules, name, 'package.json'));
    } else symlinkSync(path.join(real, name), path.join(modules, name));
  }
  return modules;
}

test('a package that is not whole is named in a line, and the next start installs anew', async () => {
  using project = makeProject(FILES);
  const modules = ownModules(project, ['typescript']);
  const stamp = path.join(modules, '.seed-installed');
  expect(existsSync(stamp)).toBe(true);
  const { code, output } = await project.run('scripts/run.cjs', ['build']);
  expect(code).toBe(1);
  expect(output).toMatch(
    /^building…\nThe compiler in node_modules does not run \(.*\)\.\nStart again: what is in node_modules is then installed anew\.\n$/,
  );
  expect(existsSync(stamp)).toBe(false);
  expect(existsSync(path.join(modules, '.package-lock.json'))).toBe(false);
});

test('whole packages keep their stamp when the code is what does not compile', async () => {
  using project = makeProject(FILES);
  const modules = ownModules(project, []);
  project.write('src/mind/think.ts', "import 'no-such-package';\nexport const think: string = 1;\n");
  const { code, output } = await project.run('scripts/run.cjs', ['build']);
  expect(code).toBe(1);
  expect(output.trimEnd().split('\n').at(-1)).toBe('The build failed; see above.');
  expect(existsSync(path.join(modules, '.seed-installed'))).toBe(true);
});

test.runIf(process.getuid?.() === 0)('a checkout of somebody else’s is said to be that', async () => {
  using project = makeProject(FILES);
  chmodSync(path.dirname(project.folder), 0o755);
  mkdirSync(path.join(project.folder, '.cache'), { mode: 0o755 });
  const child = spawn(process.execPath, ['scripts/run.cjs', 'build'], {
    cwd: project.folder,
    env: plainEnvironment(),
    uid: 65_534,
    gid: 65_534,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  const [code] = (await once(child, 'close')) as [number | null];
  expect(code).toBe(1);
  expect(text).toMatch(
    /^\/.*bootstrap\.lock.* cannot be used by this user \(EACCES\)\.\nStart as the user whose checkout it is, or in a clone of your own\.\n$/,
  );
});

test('a full disk is said in a line, whoever met it; any other failure is left as it is', () => {
  const { explain, refusalOf } = createRequire(import.meta.url)('../../scripts/bootstrap/project.cjs') as {
    explain: (error: unknown) => unknown;
    refusalOf: (text: string, place: string) => Error | null;
  };
  expect(refusalOf('npm error code ENOSPC', '/x')?.message).toMatch(
    /^There is no space left for \/x\.\nFree about 1 GB/,
  );
  const full = Object.assign(new Error('no'), { code: 'ENOSPC', path: '/y' });
  expect(explain(full)).toMatchObject({
    message: expect.stringMatching(/^There is no space left for \/y\./) as string,
  });
  expect(refusalOf('npm error code E404', '/x')).toBeNull();
  const other = new Error('a defect');
  expect(explain(other)).toBe(other);
});
