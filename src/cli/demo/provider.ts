/**
 * A provider for demonstrations, on loopback: OpenAI's Chat Completions, streamed. It says that each
 * answer had as many tokens as were allowed, and holds its answers back until it is told to give them.
 */
import type { ServerResponse } from 'node:http';
import { serveLoopback } from './loopback.ts';

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
  const { url, close } = await serveLoopback(({ body, response }) => {
    seen += 1;
    const asked = JSON.parse(body) as Asked;
    if (isAnswering) say(response, asked);
    else held.push(() => say(response, asked));
    look();
  });
  return {
    url: `${url}/v1`,
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
    close,
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
