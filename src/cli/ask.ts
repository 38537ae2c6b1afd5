/**
 * Runs tools for a command: through the daemon where one serves, otherwise in this process, which
 * takes the home for a moment.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { SeedError } from '../errors.ts';
import type { LocalSeed } from '../main.ts';
import { OWNER } from '../substrate/actor.ts';
import { EXIT, progressLine } from './output.ts';
import type { OnProgress, OwnerCall } from './owner-client.ts';
import { callOwnerDoor } from './owner-client.ts';
import { askHidden, hasTerminal } from './terminal.ts';

export interface Question {
  readonly tool: string;
  readonly input?: unknown;
}

export interface AskOptions {
  /** A read never takes the home's lock. */
  readonly access: 'read' | 'write';
  /** An owner act asks for the passphrase before anything is tried, where one is set. */
  readonly ownerAct?: boolean;
  /** How long a daemon has to take a call. */
  readonly waitMs?: number;
}

/** Runs one tool and resolves to its answer, in the caller's word for its form. */
export type Ask = <T>(question: Question) => Promise<T>;

/** One question, and its answer. */
export async function ask<T>(config: Config, { tool, input, ...options }: Question & AskOptions): Promise<T> {
  return withSeed(config, options, (question) => question<T>({ tool, input }));
}

/** Several questions; without a daemon the home is opened once for all of them. */
export async function withSeed<T>(config: Config, options: AskOptions, use: (ask: Ask) => Promise<T>): Promise<T> {
  const session = new Session(config, options);
  try {
    const typed = options.ownerAct === true && (await wantsPassphrase(config)) ? await askPassphrase() : undefined;
    return await use(async (question) => (await session.ask(question, typed)) as never);
  } finally {
    await session.close();
  }
}

/** How long a command waits for a daemon that starts or stops, and between looks. */
const DAEMON_WAIT_MS = 5_000;
const DAEMON_LOOK_MS = 50;

function noDoor({ message, data }: SeedError): SeedError {
  return new SeedError('home_locked', `${message} It does not answer at the owner’s door.`, {
    hint: 'It may still be starting, or stopping: try again in a moment; `seed down` ends it if it hangs.',
    data,
  });
}

class Session {
  readonly #config: Config;
  readonly #access: AskOptions['access'];
  readonly #waitMs: AskOptions['waitMs'];
  #local: LocalSeed | null = null;

  constructor(config: Config, { access, waitMs }: AskOptions) {
    this.#config = config;
    this.#access = access;
    this.#waitMs = waitMs;
  }

  async ask({ tool, input = {} }: Question, passphrase: string | undefined): Promise<unknown> {
    const progress = progressLine();
    try {
      const answered = await this.#askDaemon({ tool, input, passphrase }, progress.show);
      if (answered !== null) return answered.result;
      const { call } = this.#opened();
      return await interruptible((signal) =>
        call({
          tool,
          input,
          passphrase,
          actor: OWNER,
          signal,
          onProgress: ({ done, total, what }) => progress.show(done, total, what),
        }),
      );
    } finally {
      progress.end();
    }
  }

  /** What the daemon answers; null where there is none, and the home was opened here instead. */
  async #askDaemon(question: OwnerCall, onProgress: OnProgress): Promise<{ readonly result: unknown } | null> {
    if (this.#local !== null) return null;
    const { ownerSocketOf, openLocally, openReading } = await import('../main.ts');
    const { home } = this.#config;
    const options = { home, ...(this.#waitMs === undefined ? {} : { waitMs: this.#waitMs }) };
    const deadline = performance.now() + DAEMON_WAIT_MS;
    for (;;) {
      try {
        return { result: await callOwnerDoor(ownerSocketOf(this.#config), question, onProgress, options) };
      } catch (error) {
        if (!(error instanceof SeedError) || error.code !== 'daemon_absent') throw error;
      }
      try {
        this.#local = this.#access === 'read' ? openReading(this.#config) : await openLocally(this.#config);
        return null;
      } catch (error) {
        // A daemon has the home before its door is open, and a little longer than that: on its way, either way.
        if (!(error instanceof SeedError) || error.code !== 'home_locked' || error.data['role'] === 'command')
          throw error;
        if (performance.now() >= deadline) throw noDoor(error);
      }
      await delay(DAEMON_LOOK_MS);
    }
  }

  #opened(): LocalSeed {
    if (this.#local === null) throw new Error('The home was not opened.');
    return this.#local;
  }

  async close(): Promise<void> {
    await this.#local?.close();
  }
}

/** Lets Ctrl+C stop long work in good order, so that nothing half done is left; the second one stops it at once. */
async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(EXIT.failed);
    stop.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(stop.signal);
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

async function wantsPassphrase({ home }: Config): Promise<boolean> {
  const { existsSync } = await import('node:fs');
  const { passphrasePath } = await import('../substrate/identity/keys.ts');
  return existsSync(passphrasePath(home));
}

/** Asks on the terminal, once; without one the seed refuses by itself, and says so in a receipt. */
async function askPassphrase(): Promise<string | undefined> {
  return hasTerminal() ? askHidden('Owner passphrase: ') : undefined;
}
