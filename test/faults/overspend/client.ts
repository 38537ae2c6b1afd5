/**
 * A client process that asks over HTTP: `client.ts RUN CLIENT LIFE FROM SLOTS` with the key in the first
 * line of its input. Told `serving G PORT`, it works; told `stop`, it finishes what it has begun and ends.
 *
 * It says `end N STATUS CALL` for each task that was answered, and `lost N` for one whose daemon went
 * away; a task with a key is then asked again of the next daemon.
 *
 * With `NAIVE_MICRO_USD` in the environment it is the control: it looks at what was spent, says
 * `checked N`, and asks when it is told `go`, if what it saw left room.
 */
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { taskOf } from './plan.ts';

const [run = '', client = '0', life = '0', from = '0', slots = '1'] = process.argv.slice(2);
const naive = Number(process.env['NAIVE_MICRO_USD'] ?? 0);

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Told by whoever started it; waits are for the next thing told. */
const told = { key: '', daemon: 0, port: 0, stopped: false, rounds: 0 };
const listeners: (() => void)[] = [];
const hear = (line: string): void => {
  const [verb, first = '', second = ''] = line.split(' ');
  if (verb === 'key') told.key = first;
  else if (verb === 'serving') Object.assign(told, { daemon: Number(first), port: Number(second) });
  else if (verb === 'go') told.rounds += 1;
  else told.stopped = true;
  for (const wake of listeners.splice(0)) wake();
};
createInterface({ input: process.stdin }).on('line', hear);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => listeners.push(resolve));
}

/** One tool call; null when the daemon went away before it answered. */
function call(tool: string, input: object): Promise<Record<string, unknown> | null> {
  const params = { name: tool, arguments: input };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  const headers = {
    authorization: `Bearer ${told.key}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  };
  return new Promise((resolve, reject) => {
    const gone = (): void => resolve(null);
    const outgoing = request(
      { host: '127.0.0.1', port: told.port, path: '/mcp', method: 'POST', headers },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', gone);
        incoming.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const data = text.split('\n').findLast((line) => line.startsWith('data: '));
          if (!incoming.complete || text === '') return gone();
          const answer = JSON.parse(data?.slice(6) ?? text) as {
            result?: { structuredContent?: Record<string, unknown> };
          };
          const content = answer.result?.structuredContent;
          if (content === undefined) reject(new Error(`${incoming.statusCode} ${text}`));
          else resolve(content);
        });
      },
    );
    outgoing.on('error', gone);
    outgoing.end(body);
  });
}

async function work(n: number): Promise<void> {
  const task = taskOf(run, { client: Number(client), life: Number(life), n });
  const input = {
    role: task.role,
    messages: [{ role: 'user', content: task.text }],
    labels: task.labels,
    ...(task.idempotencyKey === null ? {} : { idempotency_key: task.idempotencyKey }),
  };
  for (;;) {
    const { daemon } = told;
    const answer = await call('route_complete', input);
    // A seed that is told to stop answers that too; then another one comes.
    if (answer !== null) return say(`end ${n} ${String(answer['code'] ?? answer['status'])} ${String(answer['id'])}`);
    say(`lost ${n}`);
    await until(() => told.daemon > daemon || told.stopped);
    if (told.stopped || task.idempotencyKey === null) return;
  }
}

/** The control: look first, then ask. */
async function lookThenWork(n: number, round: number): Promise<void> {
  const usage = await call('route_usage', { period: 'day' });
  const used = Number(usage?.['spent_micro_usd']) + Number(usage?.['held_micro_usd']);
  say(`checked ${n}`);
  await until(() => told.rounds > round);
  if (used < naive) await work(n);
  say(`round ${n}`);
}

let next = Number(from);
async function slot(): Promise<void> {
  for (let round = 0; !told.stopped; round++) {
    const n = next++;
    if (naive > 0) await lookThenWork(n, round);
    else await work(n);
    await nextTurn();
  }
}

await until(() => told.key !== '' && told.port !== 0);
await Promise.all(Array.from({ length: Number(slots) }, slot));
process.stdin.destroy();
