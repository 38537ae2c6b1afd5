/**
 * How the owner is told: a command that the owner has put into the home's configuration, which is given the
 * event as JSON on its standard input, or the desktop's own notification.
 *
 * A command is run as it stands there, by no shell; nothing of an event becomes part of it. It gets a small
 * environment without any credential, and a limited time.
 */
import { spawn } from 'node:child_process';
import { SeedError } from '../errors.ts';
import type { Telling } from '../substrate/home/notifiers.ts';
import { DESKTOP, readNotifiers } from '../substrate/home/notifiers.ts';

/** How long a notifier may take. */
const RUN_MS_MAX = 10_000;
/** What the desktop shows of a text. */
const SHOWN_CHARS_MAX = 300;

export type Environment = Readonly<Record<string, string>>;

export interface NotifiersOptions {
  readonly home: string;
  /** All that a notifier finds in its environment. */
  readonly environment: Environment;
  readonly platform: NodeJS.Platform;
  /** How long one may take, in milliseconds. */
  readonly runMs?: number;
}

export class Notifiers {
  readonly #options: NotifiersOptions;

  constructor(options: NotifiersOptions) {
    this.#options = options;
  }

  /** The names that policy can use. @throws SeedError `home_damaged` */
  names(): string[] {
    return [DESKTOP, ...readNotifiers(this.#options.home).keys()];
  }

  /**
   * Tells the owner, and resolves when the command has ended well.
   *
   * @throws SeedError `not_found` where nothing has that name, `notifier_failed` with how it ended,
   *   `home_damaged`, `interrupted`
   */
  async tell(name: string, telling: Telling, signal: AbortSignal): Promise<void> {
    const command = name === DESKTOP ? desktopCommand(telling, this.#options.platform) : this.#command(name);
    await run(name, command, { ...this.#options, input: `${JSON.stringify(telling)}\n`, signal });
  }

  #command(name: string): readonly string[] {
    const command = readNotifiers(this.#options.home).get(name);
    if (command !== undefined) return command;
    throw new SeedError('not_found', `There is no notifier ${name}.`, {
      hint: `Set it: \`seed notify add ${name} -- COMMAND\`, or take it out of the policy.`,
      data: { notifier: name },
    });
  }
}

/** The event's words are arguments that no program reads as options or as a script. */
function desktopCommand({ says, todo }: Telling, platform: NodeJS.Platform): readonly string[] {
  const body = [says, todo].filter((text) => text !== '').join(' — ');
  const shown = body.length > SHOWN_CHARS_MAX ? `${body.slice(0, SHOWN_CHARS_MAX)}…` : body;
  if (platform !== 'darwin') return ['notify-send', '--app-name=sovereign-seed', '--', 'Your seed', shown];
  const script = ['on run argv', 'display notification (item 1 of argv) with title "Your seed"', 'end run'];
  return ['osascript', ...script.flatMap((line) => ['-e', line]), shown];
}

interface Run extends NotifiersOptions {
  readonly input: string;
  readonly signal: AbortSignal;
}

function run(name: string, [program = '', ...args]: readonly string[], options: Run): Promise<void> {
  const { environment, home, input, signal, runMs = RUN_MS_MAX } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: home,
      env: environment,
      // A group of its own, so that whatever it starts ends with it.
      detached: true,
      // What it says may be private, and is of no use to anybody here.
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    let ended = '';
    const end = (why: string): void => {
      ended ||= why;
      killGroup(child.pid);
    };
    const timer = setTimeout(() => end(`was stopped after ${runMs / 1_000} s`), runMs);
    const onAbort = (): void => end('was stopped');
    signal.addEventListener('abort', onAbort, { once: true });
    const done = (why: string | null): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (why === null) resolve();
      else reject(failed(name, why));
    };
    child.once('error', ({ code }: NodeJS.ErrnoException) => done(whyNotStarted(program, code)));
    child.once('close', (status, by) => {
      if (ended !== '') done(ended);
      else if (by !== null) done(`was ended by ${by}`);
      else done(status === 0 ? null : `ended with status ${status}`);
    });
    // Whoever does not read its input is told nothing by it, and that is its own affair.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    if (signal.aborted) onAbort();
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself meanwhile.
  }
}

function whyNotStarted(program: string, code = 'unknown'): string {
  if (code === 'ENOENT') return `could not be started: there is no program ${program}`;
  return `could not be started (${code})`;
}

function failed(name: string, why: string): SeedError {
  const program = name === DESKTOP ? 'the desktop’s program is installed' : 'its command works in a terminal';
  return new SeedError('notifier_failed', `The notifier ${name} ${why}.`, {
    hint: `Look whether ${program}; \`seed notify list\` shows it.`,
    data: { notifier: name },
  });
}
