/**
 * A provider that answers at once, as a process of its own: OpenAI's Chat Completions, streamed or whole.
 * Prints its address.
 */
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const USAGE = { prompt_tokens: 12, completion_tokens: 4, total_tokens: 16 };

function chunk(model: string, delta: object, finish: string | null, usage: object | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 0, model, choices, usage })}\n\n`;
}

function answer(response: ServerResponse, { model, stream }: { model: string; stream?: boolean }): void {
  if (stream === true) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const said = chunk(model, { role: 'assistant', content: 'Measured.' }, null);
    response.end(`${said}${chunk(model, {}, 'stop', USAGE)}data: [DONE]\n\n`);
    return;
  }
  const message = { role: 'assistant', content: 'Measured.' };
  const choices = [{ index: 0, message, finish_reason: 'stop' }];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ id: 'x', object: 'chat.completion', created: 0, model, choices, usage: USAGE }));
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (part: Buffer) => chunks.push(part));
  request.on('end', () => {
    answer(response, JSON.parse(Buffer.concat(chunks).toString('utf8')) as { model: string; stream?: boolean });
  });
});

process.stdin.resume().on('close', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
