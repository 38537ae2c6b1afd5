/**
 * The pipe between an MCP client on stdin and stdout and the daemon on `agent.sock`.
 *
 * It stays while the client does, across any number of daemons. While nobody serves, the client's
 * messages wait here, within limits; calls that a daemon took with it are answered with an error.
 */
import type { Readable, Writable } from 'node:stream';
import type { Config } from '../../config.ts';
import type { Hello } from '../../doors/hello.ts';
import { SeedError, toSeedError } from '../../errors.ts';
import { slug } from '../../substrate/identity/names.ts';
import type { Conversation } from './conversation.ts';
import { createConversation } from './conversation.ts';
import { createDaemonFinder } from './daemon.ts';
import type { DaemonConnection } from './hello.ts';
import { LINE_BYTES_MAX, splitLines } from './lines.ts';
import type { Message } from './message.ts';
import { clientInfoOf, errorLine, faultLine, idAtEnds, readMessage, tooLongLine } from './message.ts';

const WAITING_MAX = 1_000;
const WAITING_BYTES_MAX = 32 * 1024 * 1024;
const WRITE_BYTES_MAX = 4 * 1024 * 1024;
/** How long a client that has closed its side still gets answers. */
const LAST_ANSWERS_MS_MAX = 1_000;
/** A daemon that answers the end of a subscription and then stays meant the end. */
const ENDING_MS_MAX = 2_000;
const REPLAY_MS_MAX = 10_000;
const BACK_OFF_MS = { first: 50, max: 2_000, maxAfterError: 30_000 } as const;

const NEWLINE = Buffer.from('\n');

export interface PipeOptions {
  readonly config: Config;
  /** The name to ask for; null takes it from the client. */
  readonly as: string | null;
  readonly tools: Hello['tools'];
  readonly stdin: Readable;
  readonly stdout: Writable;
  /** A line for a person. */
  readonly say: (text: string) => void;
  /** Ends the pipe. */
  readonly signal: AbortSignal;
}

/** Runs until the client goes or the daemon cannot be had at the start; resolves to the exit code. */
export function runPipe(options: PipeOptions): Promise<number> {
  return new Pipe(options).run();
}

class Pipe {
  readonly #options: PipeOptions;
  readonly #conversation: Conversation;
  readonly #ending = new AbortController();
  /** Messages of the client that no daemon has had yet. */
  #waiting: { message: Message; line: Buffer }[] = [];
  #waitingBytes = 0;
  /** The daemon that takes messages now. */
  #open: DaemonConnection | null = null;
  #wake: () => void = () => {};
  #stdinEnded = false;
  #saidGarbage = false;

  constructor(options: PipeOptions) {
    this.#options = options;
    this.#conversation = createConversation(options.say);
  }

  async run(): Promise<number> {
    const { stdin, stdout, signal } = this.#options;
    const end = (): void => this.#ending.abort();
    const onEnd = (): void => {
      this.#stdinEnded = true;
      this.#endWhenAnswered();
    };
    const onData = splitLines(LINE_BYTES_MAX, {
      onLine: (line) => this.#fromClient(line),
      onTooLong: (head, tail) => {
        this.#options.say('a message of the client is too long and was not passed on');
        this.#toClient(tooLongLine(idAtEnds(head, tail), LINE_BYTES_MAX));
      },
    });
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    stdin.on('data', onData).once('end', onEnd).once('error', end).once('close', onEnd);
    stdout.once('error', end).once('close', end);
    try {
      return await this.#serve();
    } finally {
      stdin.off('data', onData);
      this.#open?.socket.destroy();
    }
  }

  /** The first message says who the client is; then one daemon after the other. */
  async #serve(): Promise<number> {
    const { config, as, tools, say } = this.#options;
    const ending = this.#ending.signal;
    await this.#untilClientSpeaks();
    const first = this.#waiting[0];
    if (first === undefined) return 0;
    const info = clientInfoOf(first.message);
    const hello: Hello = {
      seed_hello: 1,
      as: as ?? (info === null ? null : slug(info.name)),
      client: info === null ? null : `${info.name} ${info.version}`.trim(),
      version: config.version,
      tools,
    };
    const finder = createDaemonFinder(config, say);
    let mayStart = true;
    let named = hello.as;
    let said = '';
    for (let failures = 0, isFirst = true; !ending.aborted; ) {
      try {
        const connection = await finder.find(hello, () => mayStart || this.#waiting.length > 0, ending);
        if (connection === null) {
          await this.#pause(backOff(failures++, BACK_OFF_MS.max));
          continue;
        }
        const { name, renamed } = connection.welcome;
        if (renamed && name !== named) say(`the name ${named ?? ''} is in use; this window is ${name}`);
        named = name;
        said = '';
        failures = 0;
        isFirst = false;
        await this.#converse(connection);
        // A daemon that died is needed again where it has something to tell; one that was stopped
        // in good order comes back when the client next asks for something.
        mayStart = this.#conversation.isSubscribed() && !(await finder.isHeld());
      } catch (thrown) {
        if (ending.aborted) break;
        const error = toSeedError(thrown);
        const what = `${error.message} ${error.hint}`;
        if (what !== said) say(what);
        said = what;
        this.#refuseWaiting(error);
        if (isFirst) return 1;
        mayStart = false;
        await this.#pause(backOff(failures++, BACK_OFF_MS.maxAfterError));
      }
    }
    return 0;
  }

  #untilClientSpeaks(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#ending.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** Waits, but not once the client has asked for something. */
  async #pause(ms: number): Promise<void> {
    if (this.#waiting.length > 0 || this.#ending.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#ending.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wake = done;
      this.#ending.signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Carries both directions until the connection is gone. */
  async #converse(connection: DaemonConnection): Promise<void> {
    const { socket } = connection;
    const ending = this.#ending.signal;
    const gone = new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
    });
    const hangUp = (): void => void socket.destroy();
    ending.addEventListener('abort', hangUp, { once: true });
    socket.on('error', () => {});
    socket.on('drain', () => this.#options.stdin.resume());
    connection.onLine({
      onLine: (line) => this.#fromDaemon(line, connection),
      onTooLong: (head, tail) => {
        this.#options.say('an answer of the seed is too long and was not passed on');
        const id = idAtEnds(head, tail);
        if (id !== null) this.#fromDaemon(tooLongLine(id, LINE_BYTES_MAX), connection);
      },
    });
    const patience = setTimeout(hangUp, REPLAY_MS_MAX);
    await Promise.race([gone, this.#conversation.replay((line) => void socket.write(withNewline(line)))]);
    clearTimeout(patience);
    if (!socket.destroyed && !ending.aborted) {
      this.#open = connection;
      for (const { message, line } of this.#takeWaiting()) this.#forward(message, line);
      this.#endWhenAnswered();
    }
    await gone;
    ending.removeEventListener('abort', hangUp);
    this.#open = null;
    this.#options.stdin.resume();
    for (const line of this.#conversation.lost()) this.#toClient(line);
    this.#endWhenAnswered();
  }

  #fromClient(line: Buffer): void {
    const message = readMessage(line);
    if (message.kind === 'garbage') {
      if (line.toString('utf8').trim() === '') return;
      this.#options.say(`the client sent something else than MCP: ${whyNot(message)}`);
      for (const fault of message.faults) this.#toClient(faultLine(fault));
    } else if (this.#open !== null) this.#forward(message, line);
    else this.#wait(message, line);
  }

  #forward(message: Message, line: Buffer): void {
    const socket = this.#open?.socket;
    if (!this.#conversation.fromClient(message, line)) return;
    socket?.write(withNewline(line));
    if (socket !== undefined && socket.writableLength > WRITE_BYTES_MAX) this.#options.stdin.pause();
  }

  #wait(message: Message, line: Buffer): void {
    if (message.kind === 'notification' && message.method === 'notifications/cancelled') {
      const at = this.#waiting.findIndex(
        (each) => each.message.kind === 'request' && each.message.id === message.params['requestId'],
      );
      const [withdrawn] = at === -1 ? [] : this.#waiting.splice(at, 1);
      this.#waitingBytes -= withdrawn?.line.length ?? 0;
      if (withdrawn !== undefined) return;
    }
    if (this.#waiting.length >= WAITING_MAX || this.#waitingBytes + line.length > WAITING_BYTES_MAX) {
      if (message.kind === 'request') this.#toClient(errorLine(message.id, tooMuch()));
      return;
    }
    this.#waiting.push({ message, line });
    this.#waitingBytes += line.length;
    this.#wake();
  }

  #takeWaiting(): { message: Message; line: Buffer }[] {
    const taken = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return taken;
  }

  #refuseWaiting(error: SeedError): void {
    for (const { message } of this.#takeWaiting()) {
      if (message.kind === 'request') this.#toClient(errorLine(message.id, error));
    }
    this.#endWhenAnswered();
  }

  #fromDaemon(line: Buffer, connection: DaemonConnection): void {
    const message = readMessage(line);
    if (message.kind === 'garbage') {
      if (!this.#saidGarbage) this.#options.say(`the seed sent something else than MCP: ${whyNot(message)}`);
      this.#saidGarbage = true;
      return;
    }
    for (const shown of this.#conversation.fromDaemon(message, line)) this.#toClient(shown, connection);
    if (this.#conversation.hasEndings()) {
      const release = setTimeout(() => {
        if (this.#open === connection) for (const ending of this.#conversation.releaseEndings()) this.#toClient(ending);
      }, ENDING_MS_MAX);
      connection.socket.once('close', () => clearTimeout(release));
    }
    if (this.#stdinEnded) this.#endWhenAnswered();
  }

  #toClient(line: Buffer, from?: DaemonConnection): void {
    const { stdout } = this.#options;
    if (stdout.destroyed || stdout.write(withNewline(line)) || from === undefined) return;
    // The lines of one piece all come, though none of them is read.
    if (from.socket.isPaused()) return;
    from.socket.pause();
    stdout.once('drain', () => from.socket.resume());
  }

  /** Ends the pipe when the client has closed its side and has its answers, or soon anyway. */
  #endWhenAnswered(): void {
    if (!this.#stdinEnded || this.#ending.signal.aborted) return;
    const isWaiting = this.#conversation.isWaiting() || this.#waiting.some(({ message }) => message.kind === 'request');
    if (!isWaiting) this.#ending.abort();
    else if (this.#open !== null) setTimeout(() => this.#ending.abort(), LAST_ANSWERS_MS_MAX).unref();
  }
}

function withNewline(line: Buffer): Buffer {
  return Buffer.concat([line, NEWLINE]);
}

function whyNot({ faults }: Message & { kind: 'garbage' }): string {
  return faults[0]?.message ?? '';
}

function backOff(failures: number, maxMs: number): number {
  return Math.min(BACK_OFF_MS.first * 2 ** Math.min(failures, 10), maxMs);
}

function tooMuch(): SeedError {
  return new SeedError('busy', 'Too much waits for the seed, which is restarting; nothing was done.', {
    hint: 'Call again when the other calls are answered.',
  });
}
