/**
 * The local agents' door: MCP over a Unix socket, one connection for each window of a client.
 *
 * A connection names its agent in a first line. The name is a grant of its own, made the first time
 * it is seen; a second window of the same client gets the next free name.
 */
import type { Server as NetServer, Socket } from 'node:net';
import { createServer } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SeedError, toSeedError, toWire } from '../errors.ts';
import type { Membrane } from '../membrane/membrane.ts';
import { SEED } from '../substrate/actor.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import { findGrantsNamed, insertGrant } from '../substrate/identity/grants.ts';
import { PROFILES } from '../substrate/identity/scopes.ts';
import { newId } from '../substrate/sources.ts';
import type { Substrate } from '../substrate/substrate.ts';
import { readFirstLine } from './first-line.ts';
import type { Hello, Welcome } from './hello.ts';
import { agentName, isNewer } from './hello.ts';
import { HelloLine } from './hello-schema.ts';
import * as limits from './limits.ts';
import { listenOnSocket } from './listen.ts';
import type { McpServing } from './mcp.ts';
import type { Connection } from './mcp-socket.ts';
import type { Door } from './owner.ts';

export interface AgentDoorOptions {
  readonly path: string;
  readonly substrate: Substrate;
  readonly membrane: Membrane;
  /** What serves a session; loaded with the first client. */
  readonly servers: () => Promise<McpServing>;
  readonly version: string;
  /** Stops the daemon, so that a newer one can take over. */
  readonly stop: () => void;
  readonly onDefect: (error: SeedError) => void;
}

export interface AgentDoor extends Door {
  /** Tells whoever listens that a resource has changed; only the clients of `holder`, if given. */
  readonly notify: (uri: string, holder?: string) => void;
  /** Names of the agents that are connected. */
  readonly connected: () => string[];
  /** When a grant's last connection went, ms since the epoch; null while it has one, else this door's opening. */
  readonly goneSince: (grant: string) => number | null;
}

/** Opens the door; the process must hold the home's lock. */
export async function openAgentDoor(options: AgentDoorOptions): Promise<AgentDoor> {
  const connections = new Map<string, Connection>();
  const sockets = new Set<Socket>();
  const gone = new Map<string, number>();
  const { now } = options.substrate.sources;
  const openedAt = now();
  const onGone = ({ id }: Grant): void => {
    gone.set(id, now());
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A client that vanishes is not an error of ours; `close` follows and cleans up.
    socket.on('error', () => socket.destroy());
    welcome({ ...options, onGone }, connections, socket).catch((thrown: unknown) => {
      const error = toSeedError(thrown);
      if (error.code === 'internal') options.onDefect(error);
      reply(socket, { seed_hello: 1, error: toWire(error, { outside: true }) });
      dismiss(socket);
    });
  });
  server.maxConnections = limits.CONNECTIONS_MAX;
  await listenOnSocket(server, options.path, options.onDefect);
  return {
    connected: () => [...connections.keys()].toSorted(),
    goneSince: (grant) => {
      const isHere = [...connections.values()].some((connection) => connection.grant.id === grant);
      return isHere ? null : (gone.get(grant) ?? openedAt);
    },
    notify: (uri, holder) => {
      for (const connection of connections.values()) {
        if (holder === undefined || connection.grant.id === holder) connection.notify(uri);
      }
    },
    close: (waitMs) => drain(server, { sockets, connections, waitMs }),
  };
}

/** Takes nobody new, lets calls under way be answered, and hangs up; after `waitMs` whatever they do. */
function drain(
  server: NetServer,
  {
    sockets,
    connections,
    waitMs,
  }: { sockets: ReadonlySet<Socket>; connections: ReadonlyMap<string, Connection>; waitMs: number },
): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, waitMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    const calls = new Map([...connections.values()].map((connection) => [connection.socket, connection.calls]));
    for (const socket of sockets) void hangUp(socket, calls.get(socket) ?? new Set());
  });
}

async function hangUp(socket: Socket, calls: ReadonlySet<Promise<unknown>>): Promise<void> {
  socket.pause();
  await Promise.allSettled(calls);
  // The answer is written a moment after its call has settled.
  await nextTurn();
  socket.end();
  socket.resume();
}

/** Sends somebody away: what was written goes out, what still comes is dropped, and then it is over. */
function dismiss(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), limits.FAREWELL_MS_MAX);
  socket.once('close', () => clearTimeout(timer));
  socket.resume();
  socket.end();
}

function reply(socket: Socket, line: Welcome): void {
  if (socket.writable) socket.write(`${JSON.stringify(line)}\n`);
}

interface WelcomeOptions extends AgentDoorOptions {
  /** Told when a connection that was let in is over. */
  readonly onGone: (grant: Grant) => void;
}

async function welcome(options: WelcomeOptions, connections: Map<string, Connection>, socket: Socket): Promise<void> {
  const { substrate, membrane, version, servers, onDefect, onGone } = options;
  const hello = parseHello(
    await readFirstLine(socket, { bytesMax: limits.HELLO_BYTES_MAX, waitMs: limits.HELLO_MS_MAX }),
  );
  if (isNewer(hello.version, version)) {
    reply(socket, { seed_hello: 1, restarting: true, version });
    dismiss(socket);
    options.stop();
    return;
  }
  const wanted = agentName(hello);
  await membrane.assertOpen();
  const grant = await enterAs(wanted, { substrate, connections, socket });
  const { name } = grant;
  // Gone meanwhile: its `close` has passed, and the name may be another connection's by now.
  if (socket.destroyed) return;
  const connection: Connection = { grant, socket, calls: new Set(), notify: () => {} };
  connections.set(name, connection);
  const release = membrane.work.register(grant.id, () => socket.destroy());
  socket.once('close', () => {
    release();
    if (connections.get(name) === connection) connections.delete(name);
    onGone(grant);
  });
  const [{ serveConnection }, serving] = await Promise.all([import('./mcp-socket.ts'), servers()]);
  await membrane.readmit(grant);
  const renamed = name !== wanted;
  reply(socket, { seed_hello: 1, name, renamed, version, seed: substrate.seed });
  const surface = hello.tools === 'all' ? 'full' : grant.surface;
  const greeting = renamed ? `You are ${name} here: another window, or a key, goes by ${wanted}.` : '';
  serveConnection({ membrane, serving, onDefect }, connection, { surface, greeting });
}

function parseHello(line: string): Hello {
  try {
    return HelloLine.parse(JSON.parse(line));
  } catch (cause) {
    throw new SeedError('invalid_input', 'A connection begins with a line that names the agent.', {
      hint: 'Connect with `seed mcp --as NAME`.',
      cause,
    });
  }
}

interface Entering {
  readonly substrate: Substrate;
  readonly connections: Map<string, Connection>;
  readonly socket: Socket;
}

/** The grant of the first of NAME, NAME-2, … that nobody is connected as, and that is no key's name. */
async function enterAs(wanted: string, { substrate, connections, socket }: Entering): Promise<Grant> {
  for (let window = 1; window <= limits.WINDOWS_PER_NAME_MAX; window++) {
    const name = window === 1 ? wanted : `${wanted}-${window}`;
    if (connections.has(name)) continue;
    // Taken at once: somebody who comes while the grant is looked up gets the next one.
    const placeholder: Connection = { grant: NOBODY, socket, calls: new Set(), notify: () => {} };
    const release = (): void => {
      if (connections.get(name) === placeholder) connections.delete(name);
    };
    connections.set(name, placeholder);
    socket.once('close', release);
    const grant = await findOrAdmit(substrate, name);
    if (grant !== null) return grant;
    release();
  }
  throw new SeedError('busy', `${wanted} and the ${limits.WINDOWS_PER_NAME_MAX - 1} names after it are taken.`, {
    hint: 'Close some windows, or connect by another name.',
  });
}

const NOBODY: Grant = {
  id: '',
  name: '',
  door: 'agent',
  kind: 'agent',
  scopes: [],
  surface: 'daily',
  parent: null,
  publicKey: null,
  createdAt: 0,
  expiresAt: null,
};

/** The grant of a local agent, made the first time its name is seen; null when the name is a key's. */
async function findOrAdmit(substrate: Substrate, name: string): Promise<Grant | null> {
  const known = await substrate.read((db) => findGrantsNamed(db, name));
  const agent = known.find(({ door }) => door === 'agent');
  if (agent !== undefined || known.length > 0) return agent ?? null;
  const { value } = await substrate.operate({ action: 'agent.admit', actor: SEED }, async (op) => {
    const grant: Grant = {
      ...NOBODY,
      id: newId(substrate.sources),
      name,
      scopes: PROFILES.agent.toSorted(),
      createdAt: op.now,
    };
    op.receipt({ subject: { type: 'agent', id: grant.id }, detail: { name } });
    await insertGrant(op, grant);
    return grant;
  });
  return value;
}
