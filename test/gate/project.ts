/** A throw-away project that is judged by this project's gate: its settings and scripts, other code. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '..', '..');
const SETTINGS = [
  '.gitignore',
  '.npmrc',
  '.oxlintrc.json',
  'biome.json',
  'bin',
  'knip.jsonc',
  'package-lock.json',
  'scripts',
  'tsconfig.build.json',
  'tsconfig.json',
  'vitest.config.ts',
];
/** Scripts about this project's own code and packages, which the other has not. */
const OWN_SCRIPTS: readonly string[] = ['reference.ts', 'bundle.ts'].map((name) => path.join(ROOT, 'scripts', name));
/** What the clean fixture and the copied scripts use; everything else would be an unused dependency. */
const USED = /^(@noble\/hashes|better-sqlite3|@types\/.*|node|typescript|vitest|knip|oxlint.*|@biomejs\/biome)$/;

interface Manifest {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

export interface Run {
  readonly code: number | null;
  readonly output: string;
}

export interface Project extends Disposable {
  readonly folder: string;
  write(file: string, text: string): void;
  /** Runs a script of the project by Node, to its end. */
  run(script: string, args?: readonly string[]): Promise<Run>;
}

function pick(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => USED.test(name)));
}

/** The environment of a terminal, without what the running vitest put there for itself. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const isOurs = (name: string): boolean => /^(VITEST|NODE_ENV$|TEST$|npm_lifecycle)/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name)));
}

async function run(folder: string, script: string, args: readonly string[]): Promise<Run> {
  const child = spawn(process.execPath, [path.join(folder, script), ...args], {
    cwd: folder,
    env: plainEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output: Buffer.concat(output).toString('utf8') }));
  });
}

/** Makes a project of these files; `dependencies` are listed in its manifest beside the used ones. */
export function makeProject(
  files: Readonly<Record<string, string>>,
  dependencies: Readonly<Record<string, string>> = {},
): Project {
  // The blank is on purpose: every path of the gate must survive one.
  const folder = path.join(mkdtempSync(path.join(tmpdir(), 'seed-gate-')), 'a project');
  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  };
  mkdirSync(folder);
  const filter = (source: string): boolean => !OWN_SCRIPTS.includes(source);
  for (const name of SETTINGS) cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true, filter });
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as Manifest;
  manifest.dependencies = { ...pick(manifest.dependencies), ...dependencies };
  manifest.devDependencies = pick(manifest.devDependencies);
  write('package.json', `${JSON.stringify(manifest, null, 2)}\n`);
  for (const [file, text] of Object.entries(files)) write(file, text);
  return {
    folder,
    write,
    run: async (script, args = []) => run(folder, script, args),
    [Symbol.dispose]: () => rmSync(path.dirname(folder), { recursive: true, force: true }),
  };
}
