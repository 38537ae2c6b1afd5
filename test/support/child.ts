/** Processes that a test starts, talks to line by line, and stops by their own id. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const PATIENCE_MS = 30_000;

export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** Everything it wrote so far, line by line. */
  readonly lines: readonly string[];
  readonly errors: () => string;
  /** Resolves to the first line, written already or not yet, that fits; throws if it ends without one. */
  line(fits: (line: string) => boolean): Promise<string>;
  tell(line: string): void;
  kill(signal?: NodeJS.Signals): void;
  /** How it ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly cwd?: string;
  /** A command that becomes this one, such as `taskset -c 0`. */
  readonly under?: readonly string[];
}

/** The environment of a terminal, without what the running tests put there for themselves. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const isOurs = (name: string): boolean =>
    /^(VITEST|NODE_ENV$|TEST$|SEED_|npm_lifecycle|OLLAMA_|\w+_API_KEY$)/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name)));
}

/** Starts this Node with the given arguments. */
export function startNode(args: readonly string[], { env = {}, uid, cwd, under = [] }: ChildOptions = {}): Child {
  const [program, ...before] = [...under, process.execPath] as const;
  const child: ChildProcess = spawn(program, [...before, ...args], {
    env: { ...plainEnvironment(), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  const { stdin, stdout, stderr, pid } = child;
  if (stdin === null || stdout === null || stderr === null || pid === undefined) {
    throw new Error('The child did not start.');
  }
  const lines: string[] = [];
  const errors: Buffer[] = [];
  // A child that was killed no longer reads; that shows in how it ended.
  stdin.on('error', () => {});
  stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  createInterface({ input: stdout }).on('line', (line) => lines.push(line));
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  let over = false;
  void ended.then(() => {
    over = true;
  });
  const text = (): string => Buffer.concat(errors).toString('utf8');
  return {
    pid,
    lines,
    errors: text,
    ended,
    tell: (line) => stdin.write(`${line}\n`),
    kill: (signal = 'SIGKILL') => {
      if (!over) child.kill(signal);
    },
    line: async (fits) => {
      await until(() => over || lines.some(fits), `a line of pid ${pid}`);
      const found = lines.find(fits);
      if (found === undefined) throw new Error(`The child ended without that line: ${lines.join(' | ')} ${text()}`);
      return found;
    },
    [Symbol.asyncDispose]: async () => {
      if (!over) child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Waits until something is so; throws when it has not become so for long. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${what}.`);
    await delay(2);
  }
}
