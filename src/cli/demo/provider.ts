/**
 * A provider for demonstrations, on loopback: OpenAI's Chat Completions, streamed. It says that each
 * answer had as many tokens as were allowed, and holds its answers back until it is told to give them.
 */
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from '../../doors/node-http.ts';

/** Of a request; a demonstration's are far smaller. */
const BODY_BYTES_MAX = 1_000_000;

export interface SimulatedProvider {
  readonly url: string;
  /** How many requests have arrived. */
  readonly seen: () => number;
  /** Resolves when `holds` says yes; asked with each arrival, and whenever {@link look} is called. */
  readonly until: (holds: () => boolean) => Promise<void>;
  readonly look: () => void;
  /** Answers what is held back, and keeps no answer back from now on, or does again. */
  readonly answer: (all: boolean) => void;
  readonly close: () => Promise<void>;
}

interface Asked {
  readonly model: string;
  readonly max_tokens: number;
}

export async function startSimulatedProvider(): Promise<SimulatedProvider> {
  let seen = 0;
  let isAnswering = false;
  const held: (() => void)[] = [];
  const waiting: { holds: () => boolean; resolve: () => void }[] = [];
  const look = (): void => {
    for (const { holds, resolve } of waiting) if (holds()) resolve();
  };
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
      if (body.length > BODY_BYTES_MAX) request.destroy();
    });
    request.on('end', () => {
      seen += 1;
      const asked = JSON.parse(body) as Asked;
      if (isAnswering) say(response, asked);
      else held.push(() => say(response, asked));
      look();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    seen: () => seen,
    look,
    until: (holds) =>
      new Promise((resolve) => {
        waiting.push({ holds, resolve });
        look();
      }),
    answer: (all) => {
      isAnswering = all;
      for (const give of held.splice(0)) give();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function say(response: ServerResponse, { model, max_tokens: tokens }: Asked): void {
  const chunk = (delta: object, finish: string | null, usage: object | null): string => {
    const choices = [{ index: 0, delta, finish_reason: finish }];
    return `data: ${JSON.stringify({ id: 'simulated', object: 'chat.completion.chunk', created: 0, model, choices, usage })}\n\n`;
  };
  const usage = { prompt_tokens: 12, completion_tokens: tokens, total_tokens: tokens + 12 };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(
    `${chunk({ role: 'assistant', content: 'Simulated.' }, null, null)}${chunk({}, 'stop', usage)}data: [DONE]\n\n`,
  );
}
