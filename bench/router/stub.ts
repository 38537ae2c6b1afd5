/**
 * A provider that answers at once, as a process of its own: OpenAI's Chat Completions, streamed.
 * Prints its address. Told `model NAME` on standard input, it answers `seen NAME` with the time
 * (`performance.timeOrigin + now`, ms) at which the first request for that model came in.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';

const waiting = new Set<string>();

function chunk(model: string, delta: object, finish: string | null, usage: object | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 0, model, choices, usage })}\n\n`;
}

function answerFor(model: string): string {
  const usage = { prompt_tokens: 12, completion_tokens: 4, total_tokens: 16 };
  return `${chunk(model, { role: 'assistant', content: 'Measured.' }, null)}${chunk(model, {}, 'stop', usage)}data: [DONE]\n\n`;
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (part: Buffer) => chunks.push(part));
  request.on('end', () => {
    const { model } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { model: string };
    if (waiting.delete(model)) process.stdout.write(`seen ${model} ${performance.timeOrigin + performance.now()}\n`);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(answerFor(model));
  });
});

createInterface({ input: process.stdin })
  .on('line', (line) => waiting.add(line.replace('model ', '')))
  .on('close', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
