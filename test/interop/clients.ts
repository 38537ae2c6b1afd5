/**
 * MCP clients that others wrote, behind one face: the SDK's current client in both of its eras, and
 * the client of the SDK's older line. Each over HTTP, over `seed mcp`, and on the agents' socket.
 */
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import type { Scope } from '../../src/substrate/identity/scopes.ts';
import type { TestDaemon } from './daemon.ts';
import { SEED_COMMAND } from './daemon.ts';
import { AgentSocketTransport } from './socket-transport.ts';

export const WAYS = ['http', 'seed mcp', 'socket'] as const;
export type Way = (typeof WAYS)[number];

export const KINDS = ['SDK 2, modern era', 'SDK 2, legacy era', 'SDK 1'] as const;
export type Kind = (typeof KINDS)[number];

/** Every client over every way. */
export const COMBINATIONS: readonly { readonly kind: Kind; readonly way: Way }[] = KINDS.flatMap((kind) =>
  WAYS.map((way) => ({ kind, way })),
);

export interface Answer {
  readonly isError: boolean;
  readonly text: string;
  readonly structured: Readonly<Record<string, unknown>>;
  readonly meta: Readonly<Record<string, unknown>>;
}

/** Something that a client listens to. */
export interface Watch {
  /** Addresses that it was told have changed. */
  readonly updates: readonly string[];
  /** Resolves when the server, or what is in between, ended it. */
  readonly over: Promise<unknown>;
}

export interface TestClient extends AsyncDisposable {
  /** The grant's name: an agent's or a key's. */
  readonly name: string;
  readonly tools: () => Promise<readonly string[]>;
  readonly call: (tool: string, input?: Readonly<Record<string, unknown>>) => Promise<Answer>;
  readonly resources: () => Promise<readonly string[]>;
  readonly templates: () => Promise<readonly string[]>;
  readonly read: (uri: string) => Promise<{ readonly mimeType?: string | undefined; readonly text: string }>;
  readonly prompts: () => Promise<readonly string[]>;
  readonly prompt: (name: string) => Promise<string>;
  readonly watch: (uri: string) => Promise<Watch>;
  readonly instructions: () => string | undefined;
  /** Resolves when the connection is gone; over HTTP there is none to go. */
  readonly closed: Promise<void>;
}

/** What a local agent may do from the start; keys over HTTP get the same here. */
const AGENT_SCOPES: readonly Scope[] = ['seed.status', 'receipt.read', 'receipt.note'];

/** Connects a client to a daemon under a name of its own; a key over HTTP gets the scopes. */
export async function connect(
  daemon: TestDaemon,
  kind: Kind,
  way: Way,
  name: string,
  scopes: readonly Scope[] = AGENT_SCOPES,
): Promise<TestClient> {
  const key = way === 'http' ? (await daemon.issueKey(name, scopes)).key : '';
  return kind === 'SDK 1' ? connectV1(daemon, way, name, key) : connectV2(daemon, kind, way, name, key);
}

const INFO = { name: 'interop', version: '1.0.0' };

function withKey(key: string): { requestInit: { headers: Record<string, string> } } {
  return { requestInit: { headers: { authorization: `Bearer ${key}` } } };
}

/** How an MCP client's configuration starts the program; the SDK hands it next to no environment. */
function pipeCommand({ home }: TestDaemon, name: string) {
  return {
    command: process.execPath,
    args: [SEED_COMMAND, 'mcp', '--as', name, '--home', home, '--tools', 'all'],
    stderr: 'ignore' as const,
  };
}

async function connectV2(daemon: TestDaemon, kind: Kind, way: Way, name: string, key: string): Promise<TestClient> {
  const isModern = kind === 'SDK 2, modern era';
  const client = new ClientV2(INFO, { versionNegotiation: { mode: isModern ? 'auto' : 'legacy' } });
  const closed = Promise.withResolvers<void>();
  Object.assign(client, { onclose: closed.resolve });
  const transport = {
    http: () => new HttpV2(new URL(daemon.url), withKey(key)),
    'seed mcp': () => new StdioV2(pipeCommand(daemon, name)),
    socket: () => new AgentSocketTransport(daemon.agentSocket, name),
  }[way]();
  await client.connect(transport);
  if (client.getProtocolEra() !== (isModern ? 'modern' : 'legacy')) throw new Error('That is not the era asked for.');
  const updates: string[] = [];
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    updates.push(params.uri);
  });
  return {
    ...faceOf(client),
    name,
    closed: closed.promise,
    watch: async (uri) => {
      if (isModern) {
        const subscription = await client.listen({ resourceSubscriptions: [uri] });
        return { updates, over: subscription.closed };
      }
      await client.subscribeResource({ uri });
      return { updates, over: closed.promise };
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

async function connectV1(daemon: TestDaemon, way: Way, name: string, key: string): Promise<TestClient> {
  const client = new ClientV1(INFO);
  const closed = Promise.withResolvers<void>();
  Object.assign(client, { onclose: closed.resolve });
  const transport = {
    http: () => new HttpV1(new URL(daemon.url), withKey(key)),
    'seed mcp': () => new StdioV1(pipeCommand(daemon, name)),
    socket: () => new AgentSocketTransport(daemon.agentSocket, name),
  }[way]();
  await client.connect(transport);
  const updates: string[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    updates.push(params.uri);
  });
  return {
    ...faceOf(client),
    name,
    closed: closed.promise,
    watch: async (uri) => {
      await client.subscribeResource({ uri });
      return { updates, over: closed.promise };
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

type Face = Omit<TestClient, 'name' | 'watch' | 'closed' | typeof Symbol.asyncDispose>;

/** What both lines of the SDK call by the same names. */
function faceOf(client: ClientV1 | ClientV2): Face {
  const either = client as ClientV2;
  return {
    instructions: () => either.getInstructions(),
    tools: async () => (await either.listTools()).tools.map(({ name }) => name),
    call: async (name, input = {}) => {
      const { isError, content, structuredContent, _meta } = await either.callTool({ name, arguments: input });
      const [first] = content;
      return {
        isError: isError === true,
        text: first?.type === 'text' ? first.text : '',
        structured: (structuredContent ?? {}) as Answer['structured'],
        meta: _meta ?? {},
      };
    },
    resources: async () => (await either.listResources()).resources.map(({ uri }) => uri),
    templates: async () =>
      (await either.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    read: async (uri) => {
      const [first] = (await either.readResource({ uri })).contents;
      if (first === undefined || !('text' in first)) throw new Error(`${uri} came without text.`);
      return first;
    },
    prompts: async () => (await either.listPrompts()).prompts.map(({ name }) => name),
    prompt: async (name) => {
      const [first] = (await either.getPrompt({ name })).messages;
      return first?.content.type === 'text' ? first.content.text : '';
    },
  };
}
