/** The client's end of a pipe or bridge that runs in this process. */
import { PassThrough } from 'node:stream';
import { runBridge } from '../../../src/cli/mcp/bridge.ts';
import { runPipe } from '../../../src/cli/mcp/pipe.ts';
import { readConfig } from '../../../src/config.ts';
import { until } from '../../support/child.ts';
import type { Wire } from './fake-daemon.ts';

export interface TestClient extends AsyncDisposable {
  /** What came out on standard output, as it came. */
  readonly lines: string[];
  readonly messages: Wire[];
  /** What it said to a person. */
  readonly said: string[];
  /** Its standard output, which is read all the time unless it is paused. */
  readonly stdout: PassThrough;
  send(message: Wire | string): void;
  /** The message with this id, when it has come. */
  answer(id: number | string): Promise<Wire>;
  /** Closes the client's side. */
  end(): void;
  readonly exited: Promise<number>;
}

interface Streams {
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

function run(start: (streams: Streams) => Promise<number>): TestClient {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stop = new AbortController();
  const said: string[] = [];
  let text = '';
  const lines: string[] = [];
  const messages: Wire[] = [];
  stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (text + chunk).split('\n');
    text = parts.pop() ?? '';
    for (const line of parts) {
      lines.push(line);
      messages.push(JSON.parse(line) as Wire);
    }
  });
  const exited = start({ stdin, stdout, say: (what) => said.push(what), signal: stop.signal });
  return {
    lines,
    messages,
    said,
    stdout,
    exited,
    send: (message) => stdin.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`),
    answer: async (id) => {
      const isIt = (message: Wire): boolean => message['id'] === id && !('method' in message);
      await until(() => messages.some(isIt), `an answer to ${id}`);
      return messages.find(isIt) ?? {};
    },
    end: () => void stdin.end(),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await exited.catch(() => {});
    },
  };
}

export function pipeClient(home: string, { as = null }: { as?: string | null } = {}): TestClient {
  const config = { ...readConfig({ home }, {}), version: '0.1.0' };
  return run((streams) => runPipe({ ...streams, config, as, tools: 'daily' }));
}

export function bridgeClient(url: string, keyFile: string): TestClient {
  return run((streams) => runBridge({ ...streams, url, keyFile }));
}

/** The messages of a client of revision 2026-07-28 say in each who it is. */
export function modern(id: number | string, method: string, params: Wire = {}): Wire {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'Modern Client', version: '2.0' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  return { jsonrpc: '2.0', id, method, params: { ...params, _meta: meta } };
}

export function request(id: number | string, method: string, params: Wire = {}): Wire {
  return { jsonrpc: '2.0', id, method, params };
}

export function initialize(id: number | string = 0, name = 'Test Client'): Wire {
  return request(id, 'initialize', {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name, version: '1.2.3' },
  });
}

export const INITIALIZED: Wire = { jsonrpc: '2.0', method: 'notifications/initialized' };

export function result(id: unknown, value: Wire = {}): Wire {
  return { jsonrpc: '2.0', id, result: value };
}
