/** Work that goes from one real client to the next, one of them killed in the middle. */
import { Client as ClientV2, StreamableHTTPClientTransport as HttpV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';
import { startNode, until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { TestDaemon } from './daemon.ts';
import { SEED_COMMAND, startDaemon } from './daemon.ts';

let folder: Scratch;
let daemon: TestDaemon;

beforeAll(async () => {
  folder = scratch();
  daemon = await startDaemon(folder.at('home'));
});

afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]();
  folder?.[Symbol.dispose]();
});

interface Caller {
  readonly call: <T>(tool: string, input?: object) => Promise<T>;
  readonly close: () => Promise<void>;
}

function callerOf(client: ClientV1 | ClientV2): Caller {
  const either = client as ClientV2;
  return {
    call: async <T>(name: string, input: object = {}) => {
      const { structuredContent } = await either.callTool({ name, arguments: input as Record<string, unknown> });
      return structuredContent as T;
    },
    close: () => either.close(),
  };
}

const INFO = { name: 'handoff', version: '1.0.0' };

/** The SDK's older line over stdio, as a desktop client starts the program. */
async function overStdio(name: string): Promise<Caller & { readonly pid: number }> {
  const args = [SEED_COMMAND, 'mcp', '--as', name, '--home', daemon.home, '--tools', 'all'];
  const transport = new StdioV1({ command: process.execPath, args, stderr: 'ignore' });
  const client = new ClientV1(INFO);
  await client.connect(transport);
  return { ...callerOf(client), pid: transport.pid ?? 0 };
}

/** The SDK's current line over HTTP, with a key. */
async function overHttp(name: string): Promise<Caller> {
  const scopes = ['session.use', 'handoff.offer', 'handoff.accept'] as const;
  const { key } = await daemon.issueKey(name, scopes, { tools: 'full' });
  const client = new ClientV2(INFO, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await client.connect(new HttpV2(new URL(daemon.url), { requestInit }));
  return callerOf(client);
}

interface Session {
  readonly session_id: string;
  readonly holder: string;
  readonly epoch: number;
  readonly hash: string;
  readonly messages: number;
  readonly status: string;
  readonly open_calls: readonly { readonly call: string; readonly state: string }[];
}

test('[LOCK-HANDOFF-1] [LOCK-HANDOFF-2] a client over stdio is killed in the middle, one over HTTP goes on, a third one ends it', async () => {
  const first = await overStdio('desk');
  const { session_id: id } = await first.call<Session>('session_open', {
    goal: 'Count the stars',
    constraints: ['Only those above us.'],
  });
  const asks = { type: 'tool_call', id: 'c1', name: 'look_up', arguments: '{"where":"north"}' };
  const { hash } = await first.call<Session>('session_append', {
    session_id: id,
    messages: [
      { role: 'user', content: 'How many?' },
      { role: 'assistant', content: [asks] },
    ],
  });
  await first.call('session_checkpoint', { session_id: id, done: ['looked south'], next: 'look north' });
  const second = await overHttp('helper');
  const { token, handoff } = await first.call<{ token: string; handoff: string }>('handoff_offer', {
    session_id: id,
    to: 'helper',
  });
  process.kill(first.pid, 'SIGKILL');
  await until(
    async () => ((await daemon.owner('seed_status', {})) as { agents: string[] }).agents.length === 0,
    'the first one to be gone',
  );

  const accepted = await second.call<Session & { from: string; package: { next: string; constraints: string[] } }>(
    'handoff_accept',
    { token },
  );
  expect(accepted).toMatchObject({
    session_id: id,
    from: 'desk',
    epoch: 2,
    hash,
    package: {
      goal: 'Count the stars',
      constraints: ['Only those above us.'],
      done: ['looked south'],
      next: 'look north',
    },
    open_calls: [{ call: 'c1', state: 'in_doubt' }],
  });
  const result = { type: 'tool_result', call: 'c1', content: '4,548', status: 'ok' };
  const added = await second.call<Session>('session_append', {
    session_id: id,
    epoch: 2,
    messages: [{ role: 'tool', content: [result] }],
    idempotency_key: 'c1',
  });
  await second.call('session_checkpoint', {
    session_id: id,
    done: ['looked south', 'looked north'],
    next: 'add them up',
  });
  const onward = await second.call<{ token: string }>('handoff_offer', { session_id: id });
  await second.close();

  const third = await overStdio('desk-two');
  expect(await third.call('handoff_accept', { token: onward.token })).toMatchObject({
    epoch: 3,
    hash: added.hash,
    open_calls: [],
  });
  // The first one comes back under its name, and is told.
  const back = await overStdio('desk');
  expect(
    await back.call('session_append', { session_id: id, messages: [{ role: 'user', content: 'me again' }] }),
  ).toMatchObject({ code: 'superseded' });
  expect(await third.call('session_get', { session_id: id })).toMatchObject({
    holder: 'desk-two',
    messages: 3,
    hash: added.hash,
  });
  expect(await third.call('session_close', { session_id: id })).toMatchObject({ session_id: id });

  const { receipts } = (await daemon.owner('receipt_list', { action: 'handoff.accept', limit: 10 })) as {
    receipts: Receipt[];
  };
  expect(receipts.map(({ outcome, actor, detail }) => [outcome, actor.id, detail['epoch'], detail['hash']])).toEqual([
    ['ok', 'desk-two', 3, added.hash],
    ['ok', 'helper', 2, hash],
  ]);
  for (const client of [back, third]) await client.close();

  const shown = startNode([SEED_COMMAND, 'handoff', 'show', handoff, '--home', daemon.home]);
  expect(await shown.ended).toMatchObject({ code: 0 });
  const story = shown.lines.join('\n');
  for (const part of [
    'desk to helper, redeemed',
    'Asked: Count the stars',
    '- Only those above us.',
    '- looked south',
    'look_up, call c1',
    'Next: look north',
  ]) {
    expect(story).toContain(part);
  }
  const listed = startNode([SEED_COMMAND, 'session', 'list', '--home', daemon.home]);
  expect(await listed.ended).toMatchObject({ code: 0 });
  expect(listed.lines.join('\n')).toMatch(new RegExp(`${id}\\s+desk-two\\s+closed\\s+3`));
});
