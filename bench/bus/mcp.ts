/** The same over MCP: agents on the daemon's socket, one that sends and one that waits. */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { toolCallMessage } from '../mcp/protocol.ts';

interface Answered {
  readonly id?: number;
  readonly result?: { readonly isError?: boolean; readonly structuredContent?: unknown };
}

export interface AgentClient {
  readonly call: (tool: string, input: Readonly<Record<string, unknown>>) => Promise<unknown>;
  readonly close: () => void;
}

/** Connects as a local agent. */
export async function connectAgent(socketPath: string, name: string): Promise<AgentClient> {
  const socket = connect(socketPath);
  const waiting = new Map<number, (answer: Answered) => void>();
  let ids = 0;
  const welcomed = new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    createInterface({ input: socket }).on('line', (line) => {
      const answer = JSON.parse(line) as Answered;
      if (answer.id === undefined) resolve();
      else waiting.get(answer.id)?.(answer);
    });
  });
  socket.write(`${JSON.stringify({ seed_hello: 1, as: name, client: null, version: '0.0.0', tools: 'all' })}\n`);
  await welcomed;
  return {
    call: (tool, input) =>
      new Promise((resolve, reject) => {
        const id = ++ids;
        waiting.set(id, ({ result }) => {
          waiting.delete(id);
          if (result?.isError === false || result?.isError === undefined) resolve(result?.structuredContent);
          else reject(new Error(`${tool}: ${JSON.stringify(result.structuredContent)}`));
        });
        socket.write(`${toolCallMessage({ name: tool, input }, id)}\n`);
      }),
    close: () => socket.destroy(),
  };
}
