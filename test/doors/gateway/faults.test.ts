/**
 * The fault matrix in the middle of the gateway, with the official clients: one continuous answer with each tool
 * call once, or the API's own error; never a clean end of what was cut.
 */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProviderName } from '../../../src/substrate/policy/model.ts';
import { PROVIDERS } from '../../../src/substrate/policy/model.ts';
import { sessionOf } from '../../../src/substrate/sessions/sessions.ts';
import { readTranscript } from '../../../src/substrate/sessions/work.ts';
import type { Message } from '../../../src/substrate/transcript.ts';
import { applyPolicy } from '../../mind/router/rig.ts';
import type { Behaviour, ProviderStub, StubAnswer } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import type { GatewayRig } from './rig.ts';
import { anthropicOf, figure, openaiOf, openGateway, policyOver } from './rig.ts';

/** Stalls are waited for, in each case that has one. */
const PATIENCE_MS = 250;

const CALLING: StubAnswer = {
  text: ['I ', 'look'],
  calls: [{ name: 'look', arguments: '{"at":1}' }],
  usage: { input: 10, output: 5 },
};
const TALKING: StubAnswer = { text: ['One ', 'two ', 'three ', 'four ', 'five ', 'six ', 'seven ', 'eight '] };

/** Each says whether words may be out by then: only then may the call end as an error with somebody left to ask. */
const FAULTS: Readonly<Record<string, { readonly fault: Behaviour | 'refused'; readonly late: boolean }>> = {
  'a 429': { fault: { do: 'status', status: 429, headers: { 'retry-after': '7' } }, late: false },
  'a 529': { fault: { do: 'status', status: 529 }, late: false },
  'a 500': { fault: { do: 'status', status: 500 }, late: false },
  'a signature 400': {
    fault: { do: 'status', status: 400, body: '{"error":{"message":"Invalid signature"}}' },
    late: false,
  },
  'a stall before the first token': { fault: { do: 'stall', after: 0, answer: CALLING }, late: false },
  'a stall between tokens': { fault: { do: 'stall', after: 2, answer: CALLING }, late: true },
  'a cut': { fault: { do: 'cut', after: 3, answer: CALLING }, late: true },
  'a clean end without a terminal marker': { fault: { do: 'clean_end', answer: CALLING }, late: true },
  'a bad chunk': { fault: { do: 'bad_chunk', after: 2, answer: CALLING }, late: true },
  'an error inside the stream': { fault: { do: 'stream_error', after: 2, answer: CALLING }, late: true },
  'a cut between words': { fault: { do: 'cut', after: 6, answer: TALKING }, late: false },
  'a refused connection': { fault: 'refused', late: false },
};

let stub: ProviderStub;
let closedPort: string;
beforeAll(async () => {
  stub = await startProviderStub();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closedPort = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise((resolve) => server.close(resolve));
});
afterAll(async () => {
  await stub.close();
});

/** What a client heard: the text, the calls with their arguments, why it ended, and in which session. */
interface Heard {
  text: string;
  readonly calls: { name: string; arguments: unknown }[];
  stop: string | null;
  session: string | null;
}

const SCHEMA = { type: 'object' as const, properties: { at: { type: 'number' } } };

async function hearOpenai(rig: GatewayRig, heard: Heard, stream: boolean): Promise<void> {
  const tools = [{ type: 'function' as const, function: { name: 'look', description: 'Looks.', parameters: SCHEMA } }];
  const ask = { model: 'worker', messages: [{ role: 'user' as const, content: 'Look' }], tools };
  const client = openaiOf(rig);
  if (!stream) {
    const { data, response } = await client.chat.completions.create(ask).withResponse();
    const [choice] = data.choices;
    heard.session = response.headers.get('x-seed-session');
    heard.text = choice?.message.content ?? '';
    heard.stop = choice?.finish_reason ?? null;
    for (const call of choice?.message.tool_calls ?? []) {
      if (call.type === 'function')
        heard.calls.push({ name: call.function.name, arguments: JSON.parse(call.function.arguments) });
    }
    return;
  }
  const { data, response } = await client.chat.completions.create({ ...ask, stream: true }).withResponse();
  heard.session = response.headers.get('x-seed-session');
  for await (const { choices } of data) {
    const [choice] = choices;
    heard.text += choice?.delta.content ?? '';
    heard.stop = choice?.finish_reason ?? heard.stop;
    for (const call of choice?.delta.tool_calls ?? []) {
      heard.calls.push({ name: call.function?.name ?? '', arguments: JSON.parse(call.function?.arguments ?? '') });
    }
  }
}

async function hearAnthropic(rig: GatewayRig, heard: Heard, stream: boolean): Promise<void> {
  const tools = [{ name: 'look', description: 'Looks.', input_schema: SCHEMA }];
  const ask = { model: 'worker', max_tokens: 100, messages: [{ role: 'user' as const, content: 'Look' }], tools };
  const client = anthropicOf(rig);
  if (!stream) {
    const { data, response } = await client.messages.create(ask).withResponse();
    heard.session = response.headers.get('x-seed-session');
    heard.stop = data.stop_reason;
    for (const block of data.content) {
      if (block.type === 'text') heard.text += block.text;
      if (block.type === 'tool_use') heard.calls.push({ name: block.name, arguments: block.input });
    }
    return;
  }
  const streaming = client.messages.stream(ask);
  streaming.on('text', (text) => {
    heard.text += text;
  });
  const final = await streaming.finalMessage();
  heard.session = streaming.response?.headers.get('x-seed-session') ?? null;
  heard.stop = final.stop_reason;
  for (const block of final.content) {
    if (block.type === 'tool_use') heard.calls.push({ name: block.name, arguments: block.input });
  }
}

const CLIENTS = { openai: hearOpenai, anthropic: hearAnthropic } as const;

async function hear(
  rig: GatewayRig,
  client: keyof typeof CLIENTS,
  stream: boolean,
): Promise<Heard & { error: Error | null }> {
  const heard: Heard = { text: '', calls: [], stop: null, session: null };
  const error = await CLIENTS[client](rig, heard, stream).then(
    () => null,
    (thrown: unknown) => (thrown instanceof Error ? thrown : new Error('What was thrown is no error.')),
  );
  return { ...heard, error };
}

async function answerIn(rig: GatewayRig, session: string): Promise<Message | undefined> {
  return rig.substrate.read(async (db) => (await readTranscript(db, await sessionOf(db, session))).at(-1));
}

describe.each(PROVIDERS)('%s', (provider: ProviderName) => {
  const backup: ProviderName = provider === 'nvidia' ? 'anthropic' : 'nvidia';
  let dir: Scratch;
  let rig: GatewayRig;
  // Whole answers take the same way as streams but for their last step.
  const ways = provider === 'gemini' || process.env['SEED_TEST_LONG'] === '1' ? [true, false] : [true];
  const policy = (more: object): string =>
    policyOver(stub, provider, { patienceMs: PATIENCE_MS, usd: '9.00', ...more });
  beforeAll(async () => {
    dir = scratch();
    rig = await openGateway(dir, policy({ second: backup }));
  });
  afterAll(async () => {
    await rig?.close();
    dir?.[Symbol.dispose]();
  });

  test.each(Object.keys(FAULTS))('%s: one answer, or an error; each call once', async (name) => {
    const { fault, late } = FAULTS[name] ?? { fault: 'refused', late: false };
    if (fault === 'refused') await applyPolicy(rig.substrate, policy({ second: backup, firstUrl: closedPort }));
    for (const client of ['openai', 'anthropic'] as const) {
      for (const stream of ways) {
        // Whatever sat out for a 429 may be asked again.
        rig.sources.time += 60 * 60 * 1_000;
        if (fault !== 'refused') stub.next(fault);
        stub.next({ do: 'answer', answer: CALLING });
        const before = stub.requests.length;
        const { error, text, calls, stop, session } = await hear(rig, client, stream);
        const made = stub.requests.length - before;
        if (error !== null) {
          // Words and a call begun were out: not asked twice, and no clean end.
          expect([name, client, stream, late, error.message]).toEqual([name, client, true, true, error.message]);
          expect(stop).toBeNull();
          expect(calls).toEqual([]);
          // Nobody else was asked: take back what was meant for them.
          if (made === 1) await hear(rig, client, false);
          continue;
        }
        expect(text.endsWith('I look')).toBe(true);
        expect(calls).toEqual([{ name: 'look', arguments: { at: 1 } }]);
        expect(stop).toBe(client === 'openai' ? 'tool_calls' : 'tool_use');
        const kept = await answerIn(rig, session ?? '');
        expect(kept?.parts.map((part) => (part.type === 'text' ? part.text : '')).join('')).toBe(text);
      }
    }
    expect(await figure(rig, 'seed_held_micro_usd')).toBe(0);
    expect(await figure(rig, 'seed_open_streams')).toBe(0);
    expect(rig.defects).toEqual([]);
  });

  test.each(['cut', 'clean_end', 'stall', 'bad_chunk', 'stream_error'] as const)(
    '%s with nobody left is the API’s own error, whatever was said before',
    async (what) => {
      await applyPolicy(rig.substrate, policy({}));
      const fault: Behaviour =
        what === 'clean_end' ? { do: what, answer: TALKING } : { do: what, after: 6, answer: TALKING };
      for (const client of ['openai', 'anthropic'] as const) {
        for (const stream of ways) {
          rig.sources.time += 60 * 60 * 1_000;
          stub.next(fault);
          const { error, stop } = await hear(rig, client, stream);
          expect([client, stream, error, stop]).toEqual([client, stream, expect.any(Error), null]);
        }
      }
      stub.next({ do: 'answer', answer: TALKING });
      // The control: without the fault there is no error.
      expect((await hear(rig, 'anthropic', true)).error).toBeNull();
    },
  );
});
