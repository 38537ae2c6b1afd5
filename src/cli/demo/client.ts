/**
 * An MCP client of `seed demo handoff`, the program of a process of its own: lets models take the turns of a session,
 * and carries out the tools that they ask for.
 *
 * What it is to do comes as one line on its standard input, for it may have a key or a token in it; what it
 * did goes out as a line each. It ends when its input does.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import * as z from 'zod';
import { toSeedError } from '../../errors.ts';
import { LAUNCHER } from '../launcher.ts';
import { printLine } from '../output.ts';
import type { ToolCall } from './task.ts';
import { carryOut, GOAL, hasHappened, TOOLS, TOTAL_FILE } from './task.ts';

const Job = z.strictObject({
  folder: z.string(),
  journal: z.string(),
  /** Over `seed mcp`, under a name; or over HTTP, with a key. */
  way: z.discriminatedUnion('by', [
    z.strictObject({ by: z.literal('stdio'), home: z.string(), name: z.string() }),
    z.strictObject({ by: z.literal('http'), url: z.url(), key: z.string() }),
  ]),
  /** Begins, offers its work to somebody and stops before it writes; or goes on with what it was offered. */
  part: z.discriminatedUnion('does', [
    z.strictObject({ does: z.literal('begin'), offerTo: z.string() }),
    z.strictObject({ does: z.literal('go_on'), token: z.string() }),
  ]),
});
export type Job = z.infer<typeof Job>;

/** An attempt to get an answer, as the seed tells it. */
export interface Attempt {
  readonly target: string;
  readonly outcome: string;
  readonly code: string | null;
  readonly receipt: number | null;
}

export interface Stand {
  readonly messages: number;
  readonly hash: string;
}

/** What a client tells. */
export type ClientEvent =
  | { readonly event: 'connected'; readonly pipe: number | null }
  | { readonly event: 'opened'; readonly session: string; readonly receipt: number }
  | {
      readonly event: 'answered';
      readonly text: string;
      readonly target: string;
      readonly attempts: readonly Attempt[];
      readonly asks: readonly string[];
    }
  | { readonly event: 'carried_out'; readonly name: string; readonly result: string }
  | { readonly event: 'offered'; readonly token: string; readonly receipt: number }
  /** About to carry out the call that its work is for; it waits there. */
  | ({ readonly event: 'about_to'; readonly name: string } & Stand)
  | ({ readonly event: 'accepted'; readonly from: string; readonly epoch: number; readonly receipt: number } & Stand)
  | { readonly event: 'looked'; readonly name: string; readonly state: string; readonly happened: boolean }
  | ({ readonly event: 'closed'; readonly session: string; readonly receipt: number } & Stand)
  | { readonly event: 'failed'; readonly message: string };

function tell(event: ClientEvent): void {
  printLine(JSON.stringify(event));
}

/** Runs a client to its end; what goes wrong is told as its last event. */
async function runClient(): Promise<void> {
  const input = createInterface({ input: process.stdin });
  const leave = (): void => process.exit();
  // Whoever started it is gone, or wants it gone.
  input.once('close', leave);
  try {
    const [line] = (await once(input, 'line')) as [string];
    const job = Job.parse(JSON.parse(line));
    const seed = await connect(job.way);
    await (job.part.does === 'begin' ? begin(seed, job, job.part.offerTo) : goOn(seed, job, job.part.token));
    await seed.close();
  } catch (error) {
    tell({ event: 'failed', message: error instanceof Error ? error.message : toSeedError(error).message });
  } finally {
    input.off('close', leave);
    input.close();
    process.stdin.destroy();
  }
}

interface Seed {
  readonly call: <T>(tool: string, input?: object) => Promise<T>;
  readonly close: () => Promise<void>;
}

async function connect(way: Job['way']): Promise<Seed> {
  const client = new Client({ name: 'seed-demo', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  if (way.by === 'http') {
    const requestInit = { headers: { authorization: `Bearer ${way.key}` }, redirect: 'manual' as const };
    await client.connect(new StreamableHTTPClientTransport(new URL(way.url), { requestInit }));
    tell({ event: 'connected', pipe: null });
  } else {
    const args = [LAUNCHER, 'mcp', '--as', way.name, '--home', way.home, '--tools', 'all'];
    const transport = new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' });
    await client.connect(transport);
    tell({ event: 'connected', pipe: transport.pid });
  }
  return {
    call: async <T>(name: string, input: object = {}): Promise<T> => {
      const { isError, content, structuredContent } = await client.callTool({ name, arguments: { ...input } });
      const [first] = content;
      if (isError === true) throw new Error(`${name}: ${first?.type === 'text' ? first.text : 'failed'}`);
      return structuredContent as T;
    },
    close: () => client.close(),
  };
}

/** Opens a session and works in it, up to the moment before the total is written. */
async function begin(seed: Seed, job: Job, offerTo: string): Promise<void> {
  const opened = await seed.call<{ session_id: string; receipt: number }>('session_open', {
    goal: GOAL,
    constraints: ['Write nothing twice.'],
  });
  tell({ event: 'opened', session: opened.session_id, receipt: opened.receipt });
  const listed = await step(seed, [{ role: 'user', content: GOAL }]);
  const read = await step(seed, answersTo(listed, job));
  const results = answersTo(read, job);
  await seed.call('session_checkpoint', { done: ['read all files'], next: 'add them up and write the total' });
  const offer = await seed.call<{ token: string; receipt: number }>('handoff_offer', { to: offerTo });
  tell({ event: 'offered', token: offer.token, receipt: offer.receipt });
  const added = await step(seed, results);
  const [call] = await step(seed, answersTo(added, job));
  tell({ event: 'about_to', name: call?.name ?? 'nothing', ...(await standOf(seed)) });
  // This is where it is killed; otherwise it ends with whoever started it.
  await new Promise(() => {});
}

/** Accepts what was offered, settles what is in doubt, and works on to the end. */
async function goOn(seed: Seed, job: Job, token: string): Promise<void> {
  const accepted = await seed.call<Accepted>('handoff_accept', { token });
  const { session_id: session, epoch, from, receipt, hash, open_calls: open } = accepted;
  const { shown, messages } = await seed.call<Shown>('session_get', { session_id: session, limit: 1, detail: 'full' });
  tell({ event: 'accepted', from, epoch, receipt, messages, hash });
  const asked = shown.flatMap(({ text }) => callsOf(text));
  const done = asked.map((call) => {
    const state = open.find((one) => one.call === call.id)?.state ?? 'closed';
    const happened = hasHappened(job, call);
    tell({ event: 'looked', name: call.name, state, happened });
    return happened ? resultOf(call, `${TOTAL_FILE} was written already.`) : carry(call, job);
  });
  let calls = await step(seed, toolMessage(done));
  while (calls.length > 0) calls = await step(seed, answersTo(calls, job));
  await seed.call('session_checkpoint', { done: ['read all files', 'wrote the total'], next: '' });
  const stand = await standOf(seed);
  const closed = await seed.call<{ receipt: number }>('session_close', { session_id: session });
  tell({ event: 'closed', session, receipt: closed.receipt, ...stand });
}

interface Accepted {
  readonly session_id: string;
  readonly epoch: number;
  readonly from: string;
  readonly receipt: number;
  readonly hash: string;
  readonly open_calls: readonly { readonly call: string; readonly state: string }[];
}

interface Shown extends Stand {
  readonly shown: readonly { readonly text: string }[];
}

async function standOf(seed: Seed): Promise<Stand> {
  const { messages, hash } = await seed.call<Shown>('session_get', { limit: 0 });
  return { messages, hash };
}

interface Answered {
  readonly text: string;
  readonly target: string;
  readonly attempts: readonly Attempt[];
  readonly tool_calls: readonly ToolCall[];
}

/** Lets a model take the next turn; resolves to the tool calls that it asks for. */
async function step(seed: Seed, messages: readonly object[]): Promise<readonly ToolCall[]> {
  const answered = await seed.call<Answered>('session_step', { role: 'demo', messages, tools: TOOLS });
  const { text, target, tool_calls: calls } = answered;
  const attempts = answered.attempts.map(({ target: asked, outcome, code, receipt }) => ({
    target: asked,
    outcome,
    code,
    receipt,
  }));
  tell({ event: 'answered', text, target, attempts, asks: calls.map(({ name }) => name) });
  return calls;
}

function answersTo(calls: readonly ToolCall[], job: Job): object[] {
  return toolMessage(calls.map((call) => carry(call, job)));
}

function carry(call: ToolCall, job: Job): object {
  const result = carryOut(job, call);
  tell({ event: 'carried_out', name: call.name, result });
  return resultOf(call, result);
}

function resultOf({ id: call }: ToolCall, content: string): object {
  return { type: 'tool_result', call, content, status: 'ok' };
}

function toolMessage(content: readonly object[]): object[] {
  return content.length === 0 ? [] : [{ role: 'tool', content }];
}

/** The tool calls of a message as it is kept. */
function callsOf(text: string): ToolCall[] {
  const { parts } = JSON.parse(text) as {
    parts: readonly { type: string; id: string; name: string; arguments: string }[];
  };
  return parts
    .filter(({ type }) => type === 'tool_call')
    .map(({ id, name, arguments: given }) => ({ id, name, arguments: JSON.parse(given) as unknown }));
}

// This file is the whole program; of it others import types alone. Nothing is awaited at this level, because a
// bundler puts every module that such a file shares with others elsewhere than where it was.
void runClient();
