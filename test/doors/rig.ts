/** A seed with all its doors open in this process, on a clock that the test moves, and clients for each door. */
import { execFileSync } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { generateKeyPairSync, sign } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { Server, Socket } from 'node:net';
import { connect } from 'node:net';
import type { Call } from '../../src/doors/call.ts';
import { createCall } from '../../src/doors/call.ts';
import type { Doors } from '../../src/doors/open.ts';
import { openDoors } from '../../src/doors/open.ts';
import type { SeedError } from '../../src/errors.ts';
import { originOf } from '../../src/formats/checkpoint.ts';
import type { Receipt } from '../../src/formats/receipt.ts';
import { createAccessKeyOpener } from '../../src/membrane/access-key.ts';
import { Egress } from '../../src/membrane/egress.ts';
import { KeyService } from '../../src/membrane/keys.ts';
import { Notifiers } from '../../src/membrane/notify.ts';
import { Membrane } from '../../src/membrane/membrane.ts';
import type { Mind } from '../../src/mind/mind.ts';
import { createDrainDispatch } from '../../src/mind/router/dispatch.ts';
import { PROVIDER_MODULES } from '../../src/mind/router/providers/index.ts';
import { Router } from '../../src/mind/router/router.ts';
import { Steps } from '../../src/mind/sessions/steps.ts';
import { createHome } from '../../src/substrate/home/create.ts';
import type { Secrets } from '../../src/substrate/home/credentials.ts';
import { Credentials } from '../../src/substrate/home/credentials.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { socketPaths } from '../../src/substrate/home/sockets.ts';
import { loadKey, rawPublicKey } from '../../src/substrate/identity/keys.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import { openSubstrate } from '../../src/substrate/substrate.ts';
import type { Daemon } from '../../src/tools/daemon.ts';
import { allTools, findTool } from '../../src/tools/catalogue.ts';
import { until } from '../support/child.ts';
import { freePort } from '../support/port.ts';
import type { TestSources } from '../support/sources.ts';
import { testSources } from '../support/sources.ts';

export const VERSION = '0.1.0';

export interface RigOptions {
  readonly sources?: TestSources;
  readonly passphrase?: string | null;
  readonly port?: number;
  /** What the environment has of keys. */
  readonly secrets?: Secrets;
}

export interface Rig extends AsyncDisposable {
  readonly home: string;
  readonly sources: TestSources;
  readonly substrate: Substrate;
  readonly membrane: Membrane;
  readonly egress: Egress;
  /** The pipeline, for a call by an actor that a door let in earlier. */
  readonly call: Call;
  readonly doors: Doors;
  readonly port: number;
  readonly sockets: { readonly owner: string; readonly agent: string };
  /** Errors that are defects, or went wrong where nobody waited. */
  readonly defects: readonly SeedError[];
  /** How often somebody asked the daemon to stop. */
  readonly stops: () => number;
  readonly close: () => Promise<void>;
}

/** Opens a home, making it when it is not there, with every door. */
export async function openRig(home: string, options: RigOptions = {}): Promise<Rig> {
  const { sources = testSources(home), passphrase = null, secrets = {} } = options;
  const port = options.port ?? (await freePort());
  const driver = 'better-sqlite3';
  await createHome({ home, driver, sources, passphrase, port, runtimeFolder: null, version: VERSION });
  const defects: SeedError[] = [];
  const onDefect = (error: SeedError): void => {
    defects.push(error);
  };
  const substrate = await openSubstrate({ home, driver, sources, onBackgroundError: onDefect });
  const audience = `http://127.0.0.1:${port}/mcp`;
  const issuerName = originOf(substrate.seed);
  const membrane = new Membrane(
    substrate,
    createAccessKeyOpener({
      issuerKeys: substrate.root.issuerKeys,
      issuer: issuerName,
      audiences: [audience],
      now: sources.now,
    }),
  );
  const issuer = loadKey(homePath(home, 'keys'), 'issuer');
  const keys = new KeyService({ substrate, work: membrane.work, issuer, issuerName, audience });
  let stops = 0;
  const open: { doors: Doors | null } = { doors: null };
  const daemon: Daemon = {
    pid: process.pid,
    version: VERSION,
    role: 'daemon',
    startedAt: sources.time,
    doors: { owner: null, url: audience, problem: null },
    agents: () => open.doors?.connectedAgents() ?? [],
    goneSince: (grant) => open.doors?.agentGoneSince(grant) ?? null,
    settleUse: () => membrane.flushUse(),
    droppedLogLines: () => 0,
    stop: () => {
      stops++;
    },
  };
  const sockets = socketPaths(home, null);
  const notifiers = new Notifiers({ home, environment: {}, platform: 'linux' });
  const egress = new Egress({ credentials: new Credentials(home, secrets), now: sources.now, halted: false });
  const router = new Router({
    substrate,
    provider: (name) => PROVIDER_MODULES[name],
    open: (target) => egress.open(target),
    register: (grant, cut) => membrane.work.register(grant, cut),
    onDefect,
  });
  const dispatch = createDrainDispatch();
  const steps = new Steps({ substrate, router, onDefect });
  const mind: Mind = { router, steps, drain: (drainOptions) => router.drain(dispatch, drainOptions), pulse: null };
  const call = createCall({ find: findTool, substrate, daemon, keys, egress, notifiers, mind });
  const shared = { port, publicUrl: null, sockets, substrate, membrane, keys, tools: allTools, call, router, onDefect };
  const doors = await openDoors({ ...shared, version: VERSION, stop: daemon.stop });
  open.doors = doors;
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await doors.close(2_000);
    await router.close(0);
    await steps.settled();
    await egress.close();
    await substrate.close();
  };
  return {
    home,
    sources,
    substrate,
    membrane,
    egress,
    call,
    doors,
    port,
    sockets,
    defects,
    stops: () => stops,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Listens on a free port of loopback and resolves to it. */
export function listenAnywhere(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

// ---------------------------------------------------------------------------------------------
// HTTP

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string | Buffer;
}

/** One HTTP request, on a connection of its own. */
export function ask(where: { port: number } | { socketPath: string }, what: Ask = {}): Promise<Answer> {
  const { method = 'GET', path = '/', headers = {}, body } = what;
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...where, host: '127.0.0.1', method, path, headers, agent: false }, (incoming) => {
      readAll(incoming).then(
        (text) => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text }),
        reject,
      );
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

async function readAll(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

const MCP_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const MODERN = '2026-07-28';

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: { readonly code?: string };
}

export interface ToolAnswer {
  readonly isError?: boolean;
  readonly structuredContent?: Readonly<Record<string, unknown>>;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

export interface RpcAnswer {
  readonly status: number;
  readonly result?: ToolAnswer & Readonly<Record<string, unknown>>;
  readonly error?: RpcError;
}

/** One JSON-RPC request to `/mcp`, as a client of the older era sends it. */
export async function rpc(
  { port }: { port: number },
  key: string | null,
  { method, params = {}, headers = {} }: { method: string; params?: object; headers?: Record<string, string> },
): Promise<RpcAnswer> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
  const answer = await ask(
    { port },
    { method: 'POST', path: '/mcp', body, headers: { ...MCP_HEADERS, ...authorization, ...headers } },
  );
  return { status: answer.status, ...(parseRpc(answer.text) as object) };
}

/** The message in a JSON body, or the last one of an event stream. */
function parseRpc(text: string): unknown {
  const data = text.split('\n').filter((line) => line.startsWith('data: '));
  return JSON.parse(data.at(-1)?.slice(6) ?? text);
}

/** Calls a tool over HTTP. */
export function callOverHttp(rig: { port: number }, key: string, name: string, input: object = {}): Promise<RpcAnswer> {
  return rpc(rig, key, { method: 'tools/call', params: { name, arguments: input } });
}

/** What became of a call: `ok`, or the code of what went wrong, at whatever level. */
export function outcome({ status, result, error }: RpcAnswer): string {
  if (error !== undefined) return error.data?.code ?? `rpc ${error.code}`;
  if (result?.isError === true) return String(result.structuredContent?.['code']);
  return status === 200 ? 'ok' : `http ${status}`;
}

/** An open `subscriptions/listen` stream. */
export interface Listening {
  readonly events: readonly string[];
  readonly ended: () => boolean;
  readonly close: () => void;
}

/** Opens a stream; resolves when the daemon has acknowledged it. */
export async function listen(
  { port }: { port: number },
  key: string,
  uris: readonly string[] = ['seed://checkpoint'],
): Promise<Listening> {
  const events: string[] = [];
  let ended = false;
  let outgoing: ClientRequest | null = null;
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const method = 'subscriptions/listen';
  const params = { notifications: { resourceSubscriptions: uris }, _meta: envelope };
  const headers = {
    ...MCP_HEADERS,
    authorization: `Bearer ${key}`,
    'mcp-protocol-version': MODERN,
    'mcp-method': method,
  };
  const over = (): void => {
    ended = true;
  };
  outgoing = request({ port, host: '127.0.0.1', method: 'POST', path: '/mcp', headers, agent: false }, (incoming) => {
    incoming.on('data', (chunk: Buffer) => events.push(chunk.toString('utf8')));
    incoming.on('error', over);
    incoming.on('close', over);
  });
  outgoing.on('error', over);
  outgoing.end(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
  await until(() => ended || events.some((event) => event.includes('acknowledged')), 'the stream to open');
  return { events, ended: () => ended, close: () => outgoing.destroy() };
}

// ---------------------------------------------------------------------------------------------
// The owner

interface OwnerAnswer {
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly data: Record<string, unknown> };
}

/** What the owner's door answers: the result, or the error. */
export async function askOwner(
  { sockets }: Pick<Rig, 'sockets'>,
  tool: string,
  input: object = {},
  passphrase?: string,
): Promise<OwnerAnswer> {
  const body = JSON.stringify({ tool, input, passphrase });
  const answer = await ask({ socketPath: sockets.owner }, { method: 'POST', path: '/call', body });
  return JSON.parse(answer.text.trim().split('\n').at(-1) ?? '') as OwnerAnswer;
}

/** A call by the owner that must succeed. */
export async function asOwner<T>(
  rig: Pick<Rig, 'sockets'>,
  tool: string,
  input: object = {},
  passphrase?: string,
): Promise<T> {
  const answer = await askOwner(rig, tool, input, passphrase);
  if (answer.error !== undefined) throw new Error(`${tool}: ${answer.error.code}: ${answer.error.message}`);
  return answer.result as T;
}

export interface IssuedKey {
  readonly id: string;
  readonly name: string;
  readonly key: string;
}

export const HELPER_SCOPES = ['seed.status', 'receipt.read', 'receipt.note'];

/** Issues a bearer key. */
export function issue(
  rig: Pick<Rig, 'sockets'>,
  name: string,
  scopes: readonly string[] = HELPER_SCOPES,
  more: object = {},
): Promise<IssuedKey> {
  return asOwner<IssuedKey>(rig, 'key_issue', { name, scopes, ...more });
}

/** Every receipt of the log, oldest first. */
export async function receipts(rig: Pick<Rig, 'sockets'>, filter: object = {}): Promise<Receipt[]> {
  const found: Receipt[] = [];
  let cursor: number | null = null;
  do {
    const page: { receipts: Receipt[]; next_cursor: number | null } = await asOwner(rig, 'receipt_list', {
      order: 'oldest',
      limit: 200,
      ...filter,
      ...(cursor === null ? {} : { cursor }),
    });
    found.push(...page.receipts);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}

// ---------------------------------------------------------------------------------------------
// Helpers with their own key

export interface OwnKey {
  readonly publicKey: string;
  readonly privateKey: KeyObject;
}

export function ownKey(): OwnKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicKey: Buffer.from(rawPublicKey(publicKey)).toString('base64') };
}

export function b64url(value: string | Uint8Array): string {
  return Buffer.from(value).toString('base64url');
}

/** A compact JWT; `payload` as text to write JSON that no object gives. */
export function signJwt(header: object, payload: object | string, key: KeyObject): string {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const signed = `${b64url(JSON.stringify(header))}.${b64url(text)}`;
  return `${signed}.${b64url(sign(null, Buffer.from(signed), key))}`;
}

/** Asks for a token with an assertion. */
export function askToken({ port }: { port: number }, assertion: string, form: object = {}): Promise<Answer> {
  const fields = {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
    ...form,
  };
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return ask({ port }, { method: 'POST', path: '/oauth/token', headers, body: new URLSearchParams(fields).toString() });
}

// ---------------------------------------------------------------------------------------------
// Local agents

export interface AgentConnection {
  readonly socket: Socket;
  readonly lines: readonly string[];
  readonly closed: () => boolean;
  /** Sends a line and no answer is awaited. */
  readonly send: (line: string) => void;
  /** The n-th line, when it has come. */
  readonly line: (index: number) => Promise<Record<string, unknown>>;
  readonly rpc: (method: string, params?: object) => Promise<RpcAnswer>;
  readonly call: (name: string, input?: object) => Promise<RpcAnswer>;
  readonly close: () => void;
}

/** Connects to the agents' socket without a word. */
export function dial({ sockets }: Pick<Rig, 'sockets'>): AgentConnection {
  const socket = connect(sockets.agent);
  const lines: string[] = [];
  const waiting = new Map<number, (answer: RpcAnswer) => void>();
  let rest = '';
  let closed = false;
  let ids = 0;
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) {
      lines.push(line);
      const message = JSON.parse(line) as RpcAnswer & { id?: number };
      waiting.get(message.id ?? -1)?.({ ...message, status: 200 });
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
    for (const answer of waiting.values()) answer({ status: 0 });
  });
  const send = (line: string): void => {
    socket.write(`${line}\n`);
  };
  const exchange = (method: string, params: object = {}): Promise<RpcAnswer> => {
    const id = ++ids;
    return new Promise((resolve) => {
      waiting.set(id, (answer) => {
        waiting.delete(id);
        resolve(answer);
      });
      if (closed) resolve({ status: 0 });
      else send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  };
  return {
    socket,
    lines,
    send,
    closed: () => closed,
    line: async (index) => {
      await until(() => lines.length > index || closed, `line ${index}`);
      return JSON.parse(lines[index] ?? '{"nothing":true}') as Record<string, unknown>;
    },
    rpc: exchange,
    call: (name, input = {}) => exchange('tools/call', { name, arguments: input }),
    close: () => socket.destroy(),
  };
}

export const INITIALIZE = {
  protocolVersion: '2025-06-18',
  capabilities: {},
  clientInfo: { name: 'test', version: '1' },
};

export function hello(as: string | null, more: object = {}): string {
  return JSON.stringify({ seed_hello: 1, as, client: null, version: VERSION, tools: 'all', ...more });
}

/** Connects as a named agent and initializes; `welcome` is the daemon's first line. */
export async function connectAgent(
  rig: Pick<Rig, 'sockets'>,
  as: string,
  more: object = {},
): Promise<AgentConnection & { readonly welcome: Record<string, unknown> }> {
  const agent = dial(rig);
  agent.send(hello(as, more));
  const welcome = await agent.line(0);
  if (welcome['error'] === undefined) {
    await agent.rpc('initialize', INITIALIZE);
    agent.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  }
  return { ...agent, welcome };
}

// ---------------------------------------------------------------------------------------------
// Behind the daemon's back

/**
 * Runs SQL on the database as another program would: in a process of its own, since a second copy
 * of SQLite in this one would drop the first one's locks when it closes the file.
 */
export function edit(home: string, sql: string, ...params: readonly (string | number)[]): void {
  const code = `
    const { DatabaseSync } = require('node:sqlite');
    const [path, sql, params] = process.argv.slice(1);
    const db = new DatabaseSync(path);
    db.exec('PRAGMA busy_timeout = 5000');
    db.prepare(sql).run(...JSON.parse(params));
    db.close();`;
  execFileSync(process.execPath, ['-e', code, homePath(home, 'database'), sql, JSON.stringify(params)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}
