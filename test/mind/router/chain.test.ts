/** A transcript on its way through models of all four formats: nothing of it changes, and nothing is lost silently. */
import * as fc from '../../support/fast-check.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Gathered } from '../../../src/mind/router/attempt.ts';
import type { ModelRequest } from '../../../src/mind/router/provider.ts';
import { PROVIDER_MODULES } from '../../../src/mind/router/providers/index.ts';
import type { ProviderName } from '../../../src/substrate/policy/model.ts';
import { PROVIDERS } from '../../../src/substrate/policy/model.ts';
import { appendMessages, listOpenTools } from '../../../src/substrate/sessions/messages.ts';
import { sessionOf } from '../../../src/substrate/sessions/sessions.ts';
import { endSession, readTranscript } from '../../../src/substrate/sessions/work.ts';
import type { Message, Part, ToolCall, ToolDefinition } from '../../../src/substrate/transcript.ts';
import { EMPTY_TRANSCRIPT, extendTranscript, messageHash, messageText } from '../../../src/substrate/transcript.ts';
import type { ProviderStub, StubAnswer } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import { openSeed } from '../../support/home.ts';
import { letIn } from '../../substrate/bus/rig.ts';
import { accept, append, look, offer, open, SESSION_SCOPES } from '../../substrate/sessions/rig.ts';
import { scratch } from '../../support/scratch.ts';
import { modelRequests, PIXEL, transcripts } from '../../support/transcripts.ts';
import { issued, wrongWith } from '../../support/wire-checks.ts';
import { lostSilently, marked } from './wire-oracle.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';

let stub: ProviderStub;
beforeAll(async () => {
  stub = await startProviderStub();
});
afterAll(async () => {
  await stub.close();
});

function runningHash(messages: readonly Message[]): string {
  let running = EMPTY_TRANSCRIPT;
  for (const message of messages) running = extendTranscript(running, messageHash(messageText(message)));
  return Buffer.from(running).toString('hex');
}

const user = (text: string): Message => ({ role: 'user', parts: [{ type: 'text', text }] });
const result = (call: string, text = 'done'): Message => ({
  role: 'tool',
  parts: [{ type: 'tool_result', call, content: [{ type: 'text', text }], status: 'ok' }],
});

const MODEL = 'model-a';
const chains = fc.array(fc.constantFrom(...PROVIDERS), { minLength: 1, maxLength: 6 });

function pathOf(model: string): string {
  return `/v1beta/models/${model}:streamGenerateContent`;
}

test('[LOCK-HANDOFF-2] property: any transcript to any of the four: hash equal, schema right, nothing lost silently', () => {
  fc.assert(
    fc.property(modelRequests, chains, (request, chain) => {
      const messages = marked(request.messages);
      const before = runningHash(messages);
      for (const provider of chain) {
        const { body, losses } = PROVIDER_MODULES[provider].encode({ ...request, messages });
        expect(wrongWith(provider, body, pathOf(request.model))).toEqual([]);
        expect(lostSilently({ provider, model: request.model, messages, body, losses })).toEqual([]);
        expect(runningHash(messages)).toBe(before);
      }
    }),
    { numRuns: IS_LONG ? 20_000 : 600 },
  );
});

// ---------------------------------------------------------------------------------------------
// The whole way: a session whose steps are asked of one provider after the other

const TOOLS: ToolDefinition[] = [{ name: 'run', description: 'Runs it.', parameters: '{"type":"object"}' }];

/** What a model says next: text, perhaps calls, perhaps reasoning; ids as providers make them, short, long or none. */
const answers: fc.Arbitrary<(provider: ProviderName) => StubAnswer> = fc
  .record({
    text: fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 3 }),
    calls: fc.array(
      fc.record({
        id: fc.constantFrom(undefined, 'x', 'call_'.padEnd(450, 'z')),
        name: fc.constantFrom('run', 'look'),
        arguments: fc.jsonValue({ maxDepth: 1 }).map((value) => JSON.stringify({ value })),
      }),
      { maxLength: 3 },
    ),
    thinks: fc.boolean(),
  })
  .map(({ text, calls, thinks }) => (provider) => {
    const signature = issued(provider, MODEL);
    return {
      text,
      calls: calls.map(({ id, ...call }, index) => ({
        ...call,
        ...(id !== undefined && { id: index === 0 ? id : `${id}${index}` }),
        ...(provider === 'gemini' && index === 0 && { signature }),
      })),
      // Ollama's thinking has no signature: what it thought is what goes back.
      ...(thinks && { thinking: { text: provider === 'local-ollama' ? signature : 'hm', signature } }),
      usage: { input: 10, output: 5 },
    };
  });

function requestOf(messages: readonly Message[]): ModelRequest {
  return { model: MODEL, messages, tools: TOOLS, maxOutputTokens: 100, stop: [] };
}

/** Asks a provider over the wire; the stub refuses what the real one would. */
async function ask(provider: ProviderName, messages: readonly Message[], answer: StubAnswer): Promise<Message> {
  stub.next({ do: 'answer', answer });
  const said = new Gathered();
  const context = {
    baseUrl: stub.baseUrl(provider),
    credential: 'secret',
    ask: globalThis.fetch,
    signal: new AbortController().signal,
  };
  for await (const event of PROVIDER_MODULES[provider].stream(requestOf(messages), context)) said.add(event);
  return said.message();
}

function callsOf({ parts }: Message): ToolCall[] {
  return parts.filter((part) => part.type === 'tool_call');
}

test('[LOCK-HANDOFF-2] property: a session through any chain of providers and holders: its hash, its tools, its bytes', async () => {
  using dir = scratch();
  await using seed = await openSeed(dir);
  const { substrate } = seed;
  const holders = [
    await letIn(substrate, 'ann', { scopes: SESSION_SCOPES }),
    await letIn(substrate, 'bob', { scopes: SESSION_SCOPES }),
  ] as const;
  const chain = fc.array(fc.tuple(fc.constantFrom(...PROVIDERS), answers), { minLength: 2, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(transcripts, chain, async (begun, hops) => {
      let [holder, next] = holders;
      const { id } = await open(substrate, holder);
      // As an import would write it: what clients have kept may be in any disorder.
      await substrate.operate({ action: 'session.import', actor: holder }, async (op) => {
        await appendMessages(op, await sessionOf(op, id), marked([user('Begin.'), ...begun]));
      });
      const executed = new Map<string, number>();
      for (const [provider, answer] of hops) {
        const before = await look(substrate, id);
        const { token, handoff } = await offer(substrate, holder, id);
        [holder, next] = [next, holder];
        const { session } = await accept(substrate, holder, token);
        const messages = await substrate.read((db) => readTranscript(db, session));
        const hash = runningHash(messages);
        expect([before.runningHash, handoff.package.transcript.hash, session.runningHash]).toEqual([hash, hash, hash]);
        const message = await ask(provider, messages, answer(provider));
        const { losses } = PROVIDER_MODULES[provider].encode(requestOf(messages));
        const body = stub.requests.at(-1)?.body ?? '';
        expect(lostSilently({ provider, model: MODEL, messages, body, losses })).toEqual([]);
        const results = callsOf(message).map((call): Part => {
          executed.set(call.id, (executed.get(call.id) ?? 0) + 1);
          const content = [{ type: 'text' as const, text: `ran ${call.id}` }];
          return { type: 'tool_result', call: call.id, content, status: 'ok' };
        });
        await append(substrate, holder, id, [message]);
        if (results.length > 0) await append(substrate, holder, id, [{ role: 'tool', parts: results }]);
        const grown = await look(substrate, id);
        const after = await substrate.read((db) => readTranscript(db, grown));
        expect(after.slice(0, messages.length)).toEqual(messages);
      }
      for (const times of executed.values()) expect(times).toBe(1);
      const unfinished = await substrate.read((db) => listOpenTools(db, id, 1_000));
      expect(unfinished.filter(({ call }) => executed.has(call))).toEqual([]);
      await endSession(substrate, holder, id);
    }),
    { numRuns: IS_LONG ? 1_000 : 30 },
  );
});

// ---------------------------------------------------------------------------------------------
// What others have stumbled over

function encode(provider: ProviderName, messages: readonly Message[]) {
  const { body, losses } = PROVIDER_MODULES[provider].encode(requestOf(messages));
  expect(wrongWith(provider, body, pathOf(MODEL))).toEqual([]);
  return { body, losses: losses.map(({ what }) => what) };
}

const PAIRS = PROVIDERS.flatMap((from) => PROVIDERS.map((to) => [from, to] as const));

describe('known failures of others', () => {
  test.each(PAIRS)('a tool call with an id of 450 characters, from %s to %s', async (from, to) => {
    const id = 'call_'.padEnd(450, 'z');
    const answer = {
      text: ['So.'],
      calls: [{ id, name: 'run', arguments: '{}', ...(from === 'gemini' && { signature: issued('gemini', MODEL) }) }],
    };
    const message = await ask(from, [user('Go')], answer);
    const [call] = callsOf(message);
    expect(call?.id).toMatch(/^[A-Za-z0-9_-]{1,40}$/);
    const { body } = encode(to, [user('Go'), message, result(call?.id ?? '')]);
    expect(body).not.toContain(id);
    if (to !== 'local-ollama') expect(body.split(`"${call?.id}"`)).toHaveLength(3);
  });

  test.each(PAIRS)('a thinking signature of %s is seen by no other than its own: %s', async (from, to) => {
    const signature = issued(from, MODEL);
    const thought = from === 'local-ollama' ? signature : 'hm';
    const answer: StubAnswer = {
      text: ['So.'],
      thinking: { text: thought, signature },
      calls: [{ name: 'run', arguments: '{}', ...(from === 'gemini' && { signature }) }],
    };
    const message = await ask(from, [user('Go')], answer);
    const { body, losses } = encode(to, [user('Go'), message, result(callsOf(message)[0]?.id ?? '')]);
    const hasReasoning = message.parts.some(({ type }) => type === 'opaque');
    expect(hasReasoning).toBe(from !== 'nvidia');
    expect(body.includes(signature)).toBe(hasReasoning && from === to);
    expect(losses.includes('opaque reasoning of another model')).toBe(hasReasoning && from !== to);
  });

  test('a tool call of another model, open at Gemini, has the documented sentinel for its signature', async () => {
    const message = await ask('anthropic', [user('Go')], { calls: [{ name: 'run', arguments: '{}' }] });
    const { body } = encode('gemini', [user('Go'), message, result(callsOf(message)[0]?.id ?? '')]);
    expect(body).toContain('skip_thought_signature_validator');
    const bare = body.replace(/,"thoughtSignature":"[^"]+"/, '');
    expect(wrongWith('gemini', bare, pathOf(MODEL))).toEqual([
      expect.stringContaining('Function call is missing a thought_signature'),
    ]);
  });

  test.each(PROVIDERS)('a call without a result and a result without a call, at %s', (provider) => {
    const call: Part = { type: 'tool_call', id: 'c1', name: 'run', arguments: '{"at":1}' };
    const { body, losses } = encode(provider, [
      user('Go'),
      { role: 'assistant', parts: [call] },
      user('Well?'),
      result('never-called', 'a stray result'),
    ]);
    expect(losses).toEqual([
      'a tool result without an open call',
      'a tool call without a result: it got an error as its result',
    ]);
    expect(body).toContain('No result is known');
    expect(body).not.toContain('a stray result');
  });

  test.each(PROVIDERS)('an aborted turn, empty or broken off in the middle, at %s', (provider) => {
    const { body, losses } = encode(provider, [
      user('Go'),
      { role: 'assistant', parts: [] },
      user('Again'),
      { role: 'assistant', parts: [{ type: 'text', text: 'Half an ans' }] },
    ]);
    expect(losses).toEqual(['an empty answer', 'a closing message was added: the last is the assistant’s']);
    expect(body).toContain('Half an ans');
  });

  test.each(PROVIDERS)('what has no images goes to %s as a model without eyes can read it', (provider) => {
    const image: Part = { type: 'image', media_type: 'image/png', data: PIXEL };
    const plain = encode(provider, [user('Go'), user('on')]).body;
    const seen = encode(provider, [user('Go'), { role: 'user', parts: [image] }]).body;
    expect(seen).toContain(PIXEL);
    // Chat formats: one string, since models without eyes refuse a list of parts.
    if (provider === 'nvidia') expect(plain).toContain('"content":"Go\\n\\non"');
    expect(plain).not.toMatch(/image/);
  });
});

describe('what parsing changes of a tool call’s arguments is listed', () => {
  test.each([
    ['{"n":12345678901234567890}', 'digits of a long number'],
    ['{"n":1e400}', 'digits of a long number'],
    ['{"a":1,"a":2}', 'all but the last of a repeated key'],
    ['{"a":{"b":1,"b":1}}', 'all but the last of a repeated key'],
    ['{"a":"\\ud83d"}', 'half of a surrogate pair'],
  ])('%s', (text, what) => {
    const call: Part = { type: 'tool_call', id: 'c', name: 'run', arguments: text };
    const messages: Message[] = [user('Go'), { role: 'assistant', parts: [call] }, result('c')];
    expect(encode('anthropic', messages).losses).toEqual([`${what} in a tool call’s arguments`]);
    expect(encode('nvidia', messages)).toMatchObject({
      losses: [],
      body: expect.stringContaining(JSON.stringify(text)) as string,
    });
  });

  test.each(['{"a":"\\ud83d\\ude00"}', '{"a":"b\\":c","d":"\\":"}', '{"n":1.5}', '{}'])('nothing: %s', (text) => {
    const call: Part = { type: 'tool_call', id: 'c', name: 'run', arguments: text };
    expect(encode('anthropic', [user('Go'), { role: 'assistant', parts: [call] }, result('c')]).losses).toEqual([]);
  });
});

describe('[LOCK-HANDOFF-2] the proof finds what it looks for', () => {
  test.each(PROVIDERS)('a message, an image or a call that is left out at %s without a word', (provider) => {
    const messages = marked([
      user('first'),
      { role: 'user', parts: [{ type: 'image', media_type: 'image/png', data: PIXEL }] },
      { role: 'assistant', parts: [{ type: 'tool_call', id: 'c', name: 'run', arguments: '{}' }] },
      result('c'),
      user('last'),
    ]);
    const whole = { provider, model: MODEL, messages };
    expect(lostSilently({ ...whole, ...PROVIDER_MODULES[provider].encode(requestOf(messages)) })).toEqual([]);
    for (const index of messages.keys()) {
      const fewer = messages.filter((_message, at) => at !== index);
      // What follows from the gap is listed by the encoder; the gap itself by nobody.
      const { body, losses } = PROVIDER_MODULES[provider].encode(requestOf(fewer));
      const silent = losses.filter(({ message }) => message === null);
      expect(lostSilently({ ...whole, body, losses: silent })).toContainEqual(
        expect.stringMatching(`^message ${index}:`),
      );
    }
  });

  test('a message that is changed, left out or moved has another running hash', () => {
    const messages = [user('one'), user('two'), user('three')];
    const hash = runningHash(messages);
    expect(runningHash([user('one'), user('two.'), user('three')])).not.toBe(hash);
    expect(runningHash(messages.slice(0, 2))).not.toBe(hash);
    expect(runningHash(messages.toReversed())).not.toBe(hash);
    expect(runningHash(structuredClone(messages))).toBe(hash);
  });
});
