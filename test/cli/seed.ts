/** The `seed` command as its users start it: the built program, with and without a terminal. */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { createHome } from '../../src/substrate/home/create.ts';
import { systemSources } from '../../src/substrate/sources.ts';
import type { Child } from '../support/child.ts';
import { startNode } from '../support/child.ts';
import { freePort } from '../support/port.ts';

const PROJECT = path.resolve(import.meta.dirname, '..', '..');
export const LAUNCHER: string = path.join(PROJECT, 'bin', 'seed.cjs');
const PTY = path.join(import.meta.dirname, 'terminal.py');
const RUN_MS_MAX = 25_000;

/** The environment of a terminal, without what the running tests or a shell's own seed put there. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const isOurs = (name: string): boolean =>
    /^(VITEST|NODE_ENV$|TEST$|SEED_|npm_lifecycle|INIT_CWD$|OLLAMA_|\w+_API_KEY$)/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name)));
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Text for standard input, which is empty otherwise. */
  readonly input?: string;
  /** A file as standard input instead, as by `< FILE`. */
  readonly inputFile?: string;
  readonly uid?: number;
  readonly cwd?: string;
}

/** Runs a program of this Node to its end, in a session of its own: there is no terminal to ask on. */
export async function run(
  args: readonly string[],
  { env = {}, input = '', inputFile, uid, cwd }: RunOptions = {},
): Promise<Ran> {
  const file = inputFile === undefined ? null : openSync(inputFile, 'r');
  const child = spawn(process.execPath, args, {
    detached: true,
    env: { ...plainEnvironment(), ...env },
    stdio: [file ?? 'pipe', 'pipe', 'pipe'],
    timeout: RUN_MS_MAX,
    killSignal: 'SIGKILL',
    ...(uid === undefined ? {} : { uid, gid: uid }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  if (file !== null) closeSync(file);
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that reads no input may be gone before it is written.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, stdout: Buffer.concat(stdout).toString('utf8'), stderr: Buffer.concat(stderr).toString('utf8') });
    });
  });
}

/** `seed ARGS…` to its end. */
export async function seed(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return run([LAUNCHER, ...args], options);
}

export interface Answered<T> {
  readonly code: number | null;
  readonly answer: T;
}

/** `seed ARGS… --json`, its exit code and its answer. */
export async function seedJson<T = unknown>(args: readonly string[], options: RunOptions = {}): Promise<Answered<T>> {
  const { code, stdout, stderr } = await seed([...args, '--json'], options);
  if (stderr !== '') throw new Error(`seed ${args.join(' ')} wrote to stderr: ${stderr}`);
  return { code, answer: JSON.parse(stdout) as T };
}

/** An error as every command prints it with `--json`. */
export interface ErrorAnswer {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string; readonly data: object };
}

/** A home as `seed init` makes it, in this process: what is tested is what then uses it. */
export async function initHome(home: string): Promise<void> {
  const port = await freePort();
  const how = { driver: 'better-sqlite3', sources: systemSources, passphrase: null, runtimeFolder: null } as const;
  await createHome({ ...how, home, port, version: '0.0.0' });
}

/** A daemon that serves `home`; killed when the test ends, if it has not stopped by then. */
export async function startDaemon(home: string, args: readonly string[] = []): Promise<Child> {
  const daemon = startNode([LAUNCHER, 'up', '--home', home, ...args], { env: { SEED_PORT: '0' } });
  try {
    await daemon.line((line) => line.includes('Ctrl+C') || line === '}');
    return daemon;
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
}

/** Whether a terminal can be made here. */
export const hasPty: boolean = spawnSync('python3', ['-c', 'import pty'], { stdio: 'ignore' }).status === 0;

/** One thing that a person does at a terminal: waits for a text, then types. */
export type Step = readonly [waitFor: string, type: string];

/** `seed ARGS…` at a terminal; resolves to its exit code and to all that the terminal showed. */
export async function seedAtTerminal(
  args: readonly string[],
  steps: readonly Step[],
): Promise<{ readonly code: number | null; readonly shown: string }> {
  const child = spawn('python3', [PTY, JSON.stringify(steps), process.execPath, LAUNCHER, ...args], {
    env: { ...plainEnvironment(), SEED_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (ended) => {
      if (ended !== 0) {
        reject(new Error(`terminal.py ended with ${ended}.`));
        return;
      }
      const { code, output } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as {
        code: number | null;
        output: string;
      };
      resolve({ code, shown: output });
    });
  });
}
