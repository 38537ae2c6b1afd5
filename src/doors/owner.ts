/**
 * The owner's door: HTTP over a Unix socket in a folder that only the owner's user can enter.
 *
 * `POST /call` with `{tool, input, passphrase?}`; the answer is JSON lines: any number of
 * `{progress}`, then one `{result}` or one `{error}`.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import * as z from 'zod';
import type { WireError } from '../errors.ts';
import { SeedError, toSeedError, toWire } from '../errors.ts';
import { OWNER } from '../substrate/actor.ts';
import type { Call } from './call.ts';
import { readJsonBody } from './body.ts';
import { listenOnSocket } from './listen.ts';
import { createServer } from './node-http.ts';

const BODY_BYTES_MAX = 8 * 1024 * 1024;
const REQUEST_MS_MAX = 30_000;

// One call a connection: a command makes one, and a kept one would hold up the stop.
const HEADERS = { 'content-type': 'application/jsonl', connection: 'close' };

const CallBody = z.strictObject({
  tool: z.string().min(1).max(64),
  input: z.unknown(),
  passphrase: z.string().max(1_024).optional(),
});

/** One line of an answer. */
export type OwnerLine =
  | { readonly progress: { readonly done: number; readonly total: number; readonly what: string } }
  | { readonly result: unknown }
  | { readonly error: WireError };

export interface Door {
  /** Takes no more calls and resolves when those under way are answered, or after `waitMs`. */
  close(waitMs: number): Promise<void>;
}

export interface OwnerDoorOptions {
  readonly path: string;
  readonly call: Call;
  /** Told of every error that is a defect. */
  readonly onDefect: (error: SeedError) => void;
}

/** Opens the door at a socket path; the process must hold the home's lock. */
export async function openOwnerDoor(options: OwnerDoorOptions): Promise<Door> {
  const server = createServer({ requestTimeout: REQUEST_MS_MAX }, (request, response) => {
    void serve(options, request, response);
  });
  await listenOnSocket(server, options.path, options.onDefect);
  return {
    close: (waitMs) => closeServer(server, waitMs),
  };
}

/** Between looks for connections that have nothing under way any more, while a server closes. */
const IDLE_LOOK_MS = 25;

/** Closes a server: idle connections at once, busy ones as soon as they are answered, or after `waitMs`. */
export function closeServer(server: Server, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), waitMs);
    // A client that keeps its connection would be waited for until it has been idle for long.
    const look = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
    server.close(() => {
      clearTimeout(timer);
      clearInterval(look);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function serve(
  { call, onDefect }: OwnerDoorOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const send = (line: OwnerLine): void => {
    if (!response.writableEnded) response.write(`${JSON.stringify(line)}\n`);
  };
  try {
    if (request.method !== 'POST' || request.url !== '/call') throw noSuchPage();
    const { tool, input, passphrase } = CallBody.parse(await readJsonBody(request, BODY_BYTES_MAX));
    response.writeHead(200, HEADERS);
    // Sent now, not with the first line: whoever waits learns that the call is under way.
    response.flushHeaders();
    const result = await call({
      tool,
      input,
      passphrase,
      actor: OWNER,
      signal: gone.signal,
      onProgress: (progress) => send({ progress }),
    });
    send({ result });
  } catch (thrown) {
    const error = thrown instanceof z.ZodError ? badBody() : toSeedError(thrown);
    if (error.code === 'internal') onDefect(error);
    if (!response.headersSent) response.writeHead(400, HEADERS);
    send({ error: toWire(error, { outside: false }) });
  }
  response.end();
}

function noSuchPage(): SeedError {
  return new SeedError('not_found', 'The owner’s door answers POST /call only.', { hint: 'Use the `seed` command.' });
}

function badBody(): SeedError {
  return new SeedError('invalid_input', 'The call must be {"tool": …, "input": …}.', {
    hint: 'Use the `seed` command of the same version.',
  });
}
