/**
 * Bridges an MCP client on stdin and stdout to a seed elsewhere, over streamable HTTP.
 *
 * The transport is the MCP SDK's own; it takes what it must know of a message (its revision, the
 * headers that go with it) from the message, so both eras pass. Here stand the parts that a client
 * in the same process would have: cancelling, the negotiated version, streams opened again.
 */
import type { Readable, Writable } from 'node:stream';
import type { JSONRPCMessage } from '@modelcontextprotocol/client';
import { SdkHttpError, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { SeedError } from '../../errors.ts';
import { isReadableByOthers, readKeyFile } from './key-file.ts';
import { LINE_BYTES_MAX, splitLines } from './lines.ts';
import type { Id, Message } from './message.ts';
import { errorLine, faultLine, idAtEnds, jsonLine, member, readMessage, tooLongLine } from './message.ts';

const IN_FLIGHT_MAX = 1_000;
const LAST_ANSWERS_MS_MAX = 5_000;
const REOPEN_MS = { first: 250, max: 30_000 } as const;

const PROTOCOL_VERSION = 'io.modelcontextprotocol/protocolVersion';
const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';

export interface BridgeOptions {
  readonly url: string;
  readonly keyFile: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A request that the seed has not answered. */
interface Request {
  readonly message: JSONRPCMessage;
  readonly method: string;
  /** Of revision 2026-07-28: cancelled by hanging up, not by a message. */
  readonly isModern: boolean;
  readonly abort: AbortController;
  /** Of a listen request: whether the client has had its acknowledgement. */
  acknowledged: boolean;
  failures: number;
}

/** Serves until the client goes; resolves to the exit code. @throws SeedError `invalid_input` */
export async function runBridge(options: BridgeOptions): Promise<number> {
  const { url, keyFile, stdin, stdout, say, signal } = options;
  const address = checkUrl(url);
  readKeyFile(keyFile);
  if (isReadableByOthers(keyFile)) say(`other users can read the key file ${keyFile}; \`chmod 600\` closes it`);
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const bridge = createBridge(address, options, end);
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  stdin.on(
    'data',
    splitLines(LINE_BYTES_MAX, {
      onLine: (line) => bridge.fromClient(line),
      onTooLong: (head, tail) => bridge.toClient(tooLongLine(idAtEnds(head, tail), LINE_BYTES_MAX)),
    }),
  );
  stdin.once('end', () => bridge.finish()).once('error', end);
  stdout.once('error', end);
  await new Promise<void>((resolve) => {
    if (ended.signal.aborted) resolve();
    else ended.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await bridge.close();
  return 0;
}

/** A key must not travel in the clear: https, or http that does not leave the machine. */
function checkUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw badUrl('is not a URL');
  if (url.username !== '' || url.password !== '') throw badUrl('must not have a name or password in it');
  const isLoopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback)) {
    throw badUrl('must begin with https:// (http:// only for this machine itself)');
  }
  return url;
}

function badUrl(why: string): SeedError {
  return new SeedError('invalid_input', `The address given with --url ${why}.`, {
    hint: 'Give the seed’s /mcp address, such as https://seed.example/mcp.',
    data: { argument: 'url' },
  });
}

interface Bridge {
  fromClient(line: Buffer): void;
  toClient(line: Buffer): void;
  /** The client has closed its side. */
  finish(): void;
  close(): Promise<void>;
}

function createBridge(url: URL, { keyFile, stdout, say }: BridgeOptions, end: () => void): Bridge {
  const requests = new Map<Id, Request>();
  let finishing = false;
  /** What must be through before the next message may go. */
  let order: Promise<unknown> = Promise.resolve();
  const transport = new StreamableHTTPClientTransport(url, {
    // Read at every request: a key that is replaced counts at once.
    authProvider: { token: async () => readKeyFile(keyFile) },
    // A redirect would carry the key elsewhere; refused where the answer is looked at.
    requestInit: { redirect: 'manual' },
  });

  const toClient = (line: Buffer): void => {
    if (!stdout.destroyed) stdout.write(Buffer.concat([line, Buffer.from('\n')]));
  };
  const endWhenAnswered = (): void => {
    if (finishing && [...requests.values()].every(({ method }) => method === 'subscriptions/listen')) end();
  };
  const settle = (id: Id, line: Buffer | null): void => {
    if (requests.delete(id) && line !== null) toClient(line);
    endWhenAnswered();
  };

  const send = (id: Id, request: Request): Promise<void> => {
    const isListen = request.method === 'subscriptions/listen';
    const again = (): void => {
      if (requests.get(id) !== request || request.abort.signal.aborted) return;
      const waitMs = Math.min(REOPEN_MS.first * 2 ** Math.min(request.failures++, 10), REOPEN_MS.max);
      const timer = setTimeout(() => void send(id, request), waitMs);
      request.abort.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    };
    const onRequestStreamEnd = (): void => {
      if (isListen) again();
      else settle(id, errorLine(id, cutOff()));
    };
    return transport
      .send(request.message, { requestSignal: request.abort.signal, onRequestStreamEnd })
      .catch((error: unknown) => {
        if (request.abort.signal.aborted) return;
        // Nobody there for the moment: what listens keeps trying, what asks is told.
        if (
          isListen &&
          request.acknowledged &&
          !(error instanceof SdkHttpError || error instanceof UnauthorizedError)
        ) {
          again();
        } else settle(id, answerTo(id, error));
      });
  };

  const fromSeed = (message: Message, line: Buffer): readonly Buffer[] => {
    if (message.kind === 'response') {
      const request = requests.get(message.id);
      if (request === undefined) return [];
      // The answer to a listen request only says that its stream is over: a seed that stops, or age.
      if (request.method === 'subscriptions/listen' && message.result !== null) return [];
      const version = message.result?.['protocolVersion'];
      if (request.method === 'initialize' && typeof version === 'string') transport.setProtocolVersion(version);
      settle(message.id, null);
      return [line];
    }
    if (message.kind === 'notification' && message.method === 'notifications/subscriptions/acknowledged') {
      const id = member(message.params, '_meta')[SUBSCRIPTION_ID] as Id;
      const request = requests.get(id);
      if (request === undefined || !request.acknowledged) {
        if (request !== undefined) request.acknowledged = true;
        return [line];
      }
      request.failures = 0;
      const uris = member(message.params, 'notifications')['resourceSubscriptions'];
      const missed = (uri: unknown): Buffer =>
        jsonLine({ method: 'notifications/resources/updated', params: { uri, _meta: { [SUBSCRIPTION_ID]: id } } });
      return Array.isArray(uris) ? uris.map(missed) : [];
    }
    return [line];
  };

  const notify = async (line: Buffer): Promise<void> => {
    await transport.send(JSON.parse(line.toString('utf8')) as JSONRPCMessage).catch((error: unknown) => {
      say(explain(error).message);
    });
  };

  const fromClient = (line: Buffer): void => {
    const message = readMessage(line);
    if (message.kind === 'garbage') {
      if (line.toString('utf8').trim() === '') return;
      for (const fault of message.faults) toClient(faultLine(fault));
      return;
    }
    if (message.kind === 'request') {
      if (requests.size >= IN_FLIGHT_MAX) {
        toClient(errorLine(message.id, tooMuch()));
        return;
      }
      const request: Request = {
        message: JSON.parse(line.toString('utf8')) as JSONRPCMessage,
        method: message.method,
        isModern: PROTOCOL_VERSION in member(message.params, '_meta'),
        abort: new AbortController(),
        acknowledged: false,
        failures: 0,
      };
      requests.set(message.id, request);
      const sent = order.then(() => send(message.id, request));
      if (message.method === 'initialize') order = sent;
      return;
    }
    if (message.kind === 'notification' && message.method === 'notifications/cancelled') {
      const id = message.params['requestId'] as Id;
      const request = requests.get(id);
      request?.abort.abort();
      settle(id, null);
      if (request?.isModern === true) return;
    }
    const sent = order.then(() => notify(line));
    if (message.kind === 'notification' && message.method === 'notifications/initialized') order = sent;
  };

  const onmessage = (message: JSONRPCMessage): void => {
    const line = Buffer.from(JSON.stringify(message));
    for (const shown of fromSeed(readMessage(line), line)) toClient(shown);
  };
  // What goes wrong with a request its own answer says; the rest is about streams that come back.
  Object.assign(transport, { onmessage, onerror: () => {} });
  const started = transport.start();
  order = started;
  return {
    fromClient,
    toClient,
    finish: () => {
      finishing = true;
      setTimeout(end, LAST_ANSWERS_MS_MAX).unref();
      endWhenAnswered();
    },
    close: async () => {
      for (const { abort } of requests.values()) abort.abort();
      await transport.close();
    },
  };
}

/** What went wrong, as the answer to a request: the seed's own words where it gave any. */
function answerTo(id: Id, error: unknown): Buffer {
  if (error instanceof SdkHttpError && error.status !== 401) {
    const said = errorIn(error.data['text']);
    if (said !== null) return jsonLine({ id, error: said });
  }
  return errorLine(id, explain(error));
}

function errorIn(text: unknown): { code: number; message: string } | null {
  try {
    const { error } = JSON.parse(String(text)) as { error?: { code?: unknown; message?: unknown } };
    const isError = typeof error?.code === 'number' && typeof error.message === 'string';
    return isError ? (error as { code: number; message: string }) : null;
  } catch {
    return null;
  }
}

function explain(error: unknown): SeedError {
  if (error instanceof SeedError) return error;
  const status = error instanceof UnauthorizedError ? 401 : error instanceof SdkHttpError ? error.status : undefined;
  if (status === 401) {
    return new SeedError('key_revoked', 'The seed does not take the access key: its owner removed it, or it expired.', {
      hint: 'Ask the owner for a new key and put it into the key file; it counts at once.',
    });
  }
  if (status !== undefined && status >= 300 && status < 400) {
    return new SeedError('forbidden', 'The address leads elsewhere (a redirect), and the key is not carried there.', {
      hint: 'Give --url the final address, if you trust it.',
    });
  }
  if (status !== undefined) {
    return new SeedError('daemon_failed', `What answers at the address refused with HTTP ${status}.`, {
      hint: status === 404 ? 'Check the address; it usually ends in /mcp.' : 'Ask the owner of the seed.',
    });
  }
  const { cause } = error instanceof Error ? error : {};
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return new SeedError('daemon_failed', `The seed cannot be reached${code === undefined ? '' : ` (${code})`}.`, {
    hint: 'Check the address and the network, then call again.',
  });
}

function cutOff(): SeedError {
  return new SeedError('daemon_failed', 'The connection was cut before the seed answered.', {
    hint: 'Call again; if the call changes something, look first whether it was carried out.',
  });
}

function tooMuch(): SeedError {
  return new SeedError('busy', 'Too many calls wait for the seed; nothing was done.', {
    hint: 'Call again when the others are answered.',
  });
}
