/**
 * One burst of tool calls, from a process of its own: `load.ts '{"target": …}'`. Every connection
 * sends its next call when the one before is answered. Prints what came of it as JSON.
 */
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { ToolCall } from './protocol.ts';
import { httpHeaders, toolCallMessage } from './protocol.ts';

export interface Load {
  readonly target:
    | { readonly kind: 'http'; readonly url: string; readonly key: string | null }
    /** `agent`: the name to say hello with; null where nobody asks for one. */
    | { readonly kind: 'socket'; readonly path: string; readonly agent: string | null };
  readonly tool: ToolCall;
  readonly connections: number;
  readonly calls: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly tookMs: readonly number[];
}

const PATIENCE_MS = 300_000;

/** Sends one message and resolves to its answer. */
type Caller = (id: number) => Promise<string>;

interface Connection {
  readonly call: Caller;
  readonly close: () => void;
}

function overHttp({ url, key }: Load['target'] & { kind: 'http' }, tool: ToolCall): Connection {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { hostname: host, port, pathname: path } = new URL(url);
  const headers = httpHeaders(key, 'tools/call', tool.name);
  const call: Caller = (id) =>
    new Promise((resolve, reject) => {
      const body = toolCallMessage(tool, id);
      const outgoing = request(
        { host, port, path, method: 'POST', agent, headers: { ...headers, 'content-length': Buffer.byteLength(body) } },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
          answer.on('error', reject);
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  return { call, close: () => agent.destroy() };
}

async function overSocket(
  { path, agent }: Load['target'] & { kind: 'socket' },
  tool: ToolCall,
  nth: number,
): Promise<Connection> {
  const socket: Socket = connect(path);
  let answered: (line: string) => void = () => {};
  createInterface({ input: socket }).on('line', (line) => answered(line));
  const next = (message: string): Promise<string> =>
    new Promise((resolve, reject) => {
      answered = resolve;
      socket.once('error', reject);
      socket.write(`${message}\n`, () => socket.off('error', reject));
    });
  if (agent !== null) {
    await next(JSON.stringify({ seed_hello: 1, as: `${agent}-${nth}`, client: null, version: '0.0.0', tools: 'all' }));
  }
  return { call: (id) => next(toolCallMessage(tool, id)), close: () => socket.destroy() };
}

function open({ target, tool }: Load, nth: number): Promise<Connection> {
  return target.kind === 'http' ? Promise.resolve(overHttp(target, tool)) : overSocket(target, tool, nth);
}

function assertDone(answer: string): void {
  if (!answer.includes('"structuredContent"') || answer.includes('"isError":true'))
    throw new Error(`A call was not done: ${answer.slice(0, 500)}`);
}

async function run(load: Load): Promise<LoadResult> {
  const connections = await Promise.all(Array.from({ length: load.connections }, (_, nth) => open(load, nth)));
  // The first call of a connection pays for opening it.
  for (const { call } of connections) assertDone(await call(0));
  const tookMs: number[] = [];
  let id = 0;
  const startMs = performance.now();
  await Promise.all(
    connections.map(async ({ call }) => {
      while (id < load.calls) {
        const beganMs = performance.now();
        assertDone(await call(++id));
        tookMs.push(performance.now() - beganMs);
      }
    }),
  );
  const perSecond = tookMs.length / ((performance.now() - startMs) / 1_000);
  for (const { close } of connections) close();
  return { perSecond, tookMs };
}

if (import.meta.main) {
  setTimeout(() => {
    throw new Error('The load took too long.');
  }, PATIENCE_MS).unref();
  const result = await run(JSON.parse(process.argv[2] ?? '') as Load);
  process.stdout.write(JSON.stringify(result));
}
