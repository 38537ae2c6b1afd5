/** A client of an MCP server over stdio, as a host starts it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

interface Answer {
  readonly id?: number;
  readonly error?: unknown;
  readonly result?: { readonly isError?: boolean; readonly content?: unknown; readonly structuredContent?: unknown };
}

export interface StdioClient extends AsyncDisposable {
  readonly pid: number;
  readonly call: (tool: string, input: object) => Promise<unknown>;
}

const STOP_MS_MAX = 10_000;

export async function startStdio(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<StdioClient> {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'], env: { ...process.env, ...env } });
  const ended = once(child, 'close');
  const waiting = new Map<number, (answer: Answer) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as Answer;
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
  });
  let ids = 0;
  const send = (message: object): void => void child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const ask = (method: string, params: object): Promise<NonNullable<Answer['result']>> =>
    new Promise((resolve, reject) => {
      const id = ++ids;
      waiting.set(id, ({ result, error }) => {
        waiting.delete(id);
        if (result === undefined || result.isError === true)
          reject(new Error(`${method}: ${JSON.stringify(error ?? result)}`));
        else resolve(result);
      });
      send({ id, method, params });
    });
  void ended.then(() => {
    for (const answer of waiting.values()) answer({ error: 'The server ended.' });
  });
  await ask('initialize', {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'bench', version: '1.0.0' },
  });
  send({ method: 'notifications/initialized' });
  return {
    pid: child.pid ?? 0,
    call: async (name, input) => (await ask('tools/call', { name, arguments: input })).structuredContent,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
      await ended;
      clearTimeout(timer);
    },
  };
}
