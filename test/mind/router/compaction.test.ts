import * as fc from '../../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import type { Compacted } from '../../../src/mind/router/compaction.ts';
import { compact } from '../../../src/mind/router/compaction.ts';
import { fitToContext } from '../../../src/mind/router/fit.ts';
import type { ModelRequest } from '../../../src/mind/router/provider.ts';
import { PROVIDER_MODULES } from '../../../src/mind/router/providers/index.ts';
import { PROVIDERS } from '../../../src/substrate/policy/model.ts';
import type { Checkpoint } from '../../../src/substrate/sessions/model.ts';
import { NO_CHECKPOINT } from '../../../src/substrate/sessions/model.ts';
import type { Message } from '../../../src/substrate/transcript.ts';
import {
  EMPTY_TRANSCRIPT,
  extendTranscript,
  messageHash,
  messageText,
  Message as MessageSchema,
} from '../../../src/substrate/transcript.ts';
import { allReceipts, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { modelRequests, transcripts } from '../../support/transcripts.ts';
import { wrongWith } from '../../support/wire-checks.ts';
import { applyPolicy, asker, asks, PATIENT, POLICY, routerOf, says } from './rig.ts';

const said = (role: Message['role'], text: string): Message => ({ role, parts: [{ type: 'text', text }] });
const user = (text: string): Message => said('user', text);
const assistant = (text: string): Message => said('assistant', text);

/** What a request holds, as text. */
function textOf(messages: readonly Message[]): string {
  return JSON.stringify(messages);
}

function bytes(messages: readonly Message[]): number {
  return Buffer.byteLength(textOf(messages));
}

function within(roomBytes: number, messages: readonly Message[], checkpoint: Checkpoint | null = null) {
  return compact(messages, { checkpoint, roomBytes, fits: (some) => bytes(some) <= roomBytes });
}

function hashOf(messages: readonly Message[]): string {
  let running = EMPTY_TRANSCRIPT;
  for (const message of messages) running = extendTranscript(running, messageHash(messageText(message)));
  return Buffer.from(running).toString('hex');
}

/** A long talk: the goal first, then so many turns. */
function talk(turns: number, words = 'word '.repeat(40)): Message[] {
  return [
    said('system', 'Be brief. Never touch main.'),
    user('The goal: mend the build.'),
    ...Array.from({ length: turns }, (_each, index) => [
      assistant(`Answer ${index}. ${words}`),
      user(`Question ${index}. ${words}`),
    ]).flat(),
  ];
}

describe('what is kept', () => {
  test('system messages, the goal and the last turns word for word; the rest in an outline with count and hash', () => {
    const messages = talk(40);
    const { messages: kept, summarised } = within(8_000, messages) as Compacted;
    expect(kept[0]).toEqual(messages[0]);
    expect(kept[1]).toEqual(messages[1]);
    expect(kept.slice(3)).toEqual(messages.slice(summarised.to));
    expect(kept.length).toBeGreaterThan(8);
    expect(summarised).toEqual({
      from: 2,
      to: messages.length - (kept.length - 3),
      count: messages.length - (kept.length - 3) - 2,
      hash: hashOf(messages.slice(2, summarised.to)),
    });
    const note = textOf(kept.slice(2, 3));
    expect(note).toContain(`${summarised.count} messages`);
    expect(note).toContain(summarised.hash);
    // The newest of what is left out is in the outline.
    expect(note).toContain(`assistant: Answer ${Math.floor((summarised.to - 3) / 2)}.`);
  });

  test('with a checkpoint its goal and constraints, word for word, in place of the first message', () => {
    const checkpoint = { ...NO_CHECKPOINT, goal: 'Ship 2.0', constraints: ['No force push'], next: 'Run the tests' };
    const { messages: kept, summarised } = within(4_000, talk(40), checkpoint) as Compacted;
    expect(summarised.from).toBe(1);
    for (const words of ['Ship 2.0', 'No force push', 'Run the tests']) expect(textOf(kept)).toContain(words);
    expect(kept[1]?.role).toBe('user');
  });

  test('a checkpoint without a goal leaves the first message pinned', () => {
    const { messages: kept } = within(4_000, talk(40), {
      ...NO_CHECKPOINT,
      constraints: ['No force push'],
    }) as Compacted;
    expect(textOf(kept)).toContain('The goal: mend the build.');
    expect(textOf(kept)).toContain('No force push');
  });

  test('an open tool call stays, with the results of the calls beside it', () => {
    const open: Message = {
      role: 'assistant',
      parts: [
        { type: 'tool_call', id: 'open', name: 'deploy', arguments: '{"to":"prod"}' },
        { type: 'tool_call', id: 'shut', name: 'look', arguments: '{}' },
      ],
    };
    const result: Message = {
      role: 'tool',
      parts: [{ type: 'tool_result', call: 'shut', content: [{ type: 'text', text: 'seen' }], status: 'ok' }],
    };
    const [first, goal, ...rest] = talk(40);
    const messages = [first, goal, open, result, ...rest] as Message[];
    const { messages: kept, summarised } = within(4_000, messages) as Compacted;
    expect(kept).toContainEqual(open);
    expect(kept).toContainEqual(result);
    expect(summarised.from).toBe(4);
  });

  test('a tool call and its result are never torn apart', () => {
    const turns = Array.from({ length: 60 }, (_each, index): Message[] => [
      { role: 'assistant', parts: [{ type: 'tool_call', id: `c${index}`, name: 'run', arguments: '{}' }] },
      {
        role: 'tool',
        parts: [
          { type: 'tool_result', call: `c${index}`, content: [{ type: 'text', text: 'x'.repeat(200) }], status: 'ok' },
        ],
      },
    ]).flat();
    for (let room = 2_000; room < 12_000; room += 371) {
      const { messages: kept } = within(room, [user('Go'), ...turns]) as Compacted;
      const calls = kept.flatMap(({ parts }) => parts.flatMap((part) => (part.type === 'tool_call' ? [part.id] : [])));
      const results = kept.flatMap(({ parts }) =>
        parts.flatMap((part) => (part.type === 'tool_result' ? [part.call] : [])),
      );
      expect(results).toEqual(calls);
    }
  });

  test('where not even what is pinned fits, nothing does', () => {
    expect(within(300, talk(40))).toBeNull();
    expect(within(4_000, [user('x'.repeat(9_000)), assistant('So.'), user('Well?')])).toBeNull();
    expect(within(4_000, [user('Go'), assistant('So.'), user('x'.repeat(9_000))])).toBeNull();
    expect(within(10, [])).toBeNull();
  });

  test('as much is kept as there is room for', () => {
    const messages = talk(400);
    for (const room of [6_000, 20_000, 60_000, 120_000]) {
      const { messages: kept } = within(room, messages) as Compacted;
      expect(bytes(kept)).toBeGreaterThan(room * 0.55);
    }
  });
});

const RUNS = process.env['SEED_TEST_LONG'] === '1' ? 10_000 : 500;

test('property: any transcript, at any size: it fits, is the same each time, pins what is pinned, and changes nothing', () => {
  fc.assert(
    fc.property(transcripts, fc.integer({ min: 300, max: 6_000 }), (messages, room) => {
      const before = textOf(messages);
      const found = within(room, messages);
      expect(textOf(messages)).toBe(before);
      expect(within(room, structuredClone(messages))).toEqual(found);
      if (found === null) return;
      expect(bytes(found.messages)).toBeLessThanOrEqual(room);
      const { from, to, count, hash } = found.summarised;
      expect(count).toBeGreaterThan(0);
      expect(hash).toBe(hashOf(messages.slice(from, to)));
      for (const message of found.messages) expect(MessageSchema.safeParse(message).success).toBe(true);
      // Nothing but the note is new, and what is missing is counted.
      const own = found.messages.filter((message) => messages.includes(message));
      expect(own.length + 1).toBe(found.messages.length);
      expect(own.length + count).toBe(messages.length);
      expect(own.at(-1)).toBe(messages.at(-1));
    }),
    { numRuns: RUNS },
  );
});

describe('a request made to fit', () => {
  const asked = (messages: readonly Message[], contextTokens?: number): ModelRequest => ({
    model: 'm',
    messages,
    tools: [],
    maxOutputTokens: 1_000,
    stop: [],
    ...(contextTokens === undefined ? {} : { contextTokens }),
  });
  const fit = (request: ModelRequest, added: readonly Message[] = []) =>
    fitToContext({ provider: PROVIDER_MODULES.anthropic, request, minOutputTokens: 100, checkpoint: null, added });

  test('without a known context nothing is left out', () => {
    const messages = talk(2_000);
    expect(fit(asked(messages))).toMatchObject({ summarised: null, request: { messages } });
  });

  test('what fits goes as it is; what does not is compacted, and listed', () => {
    const messages = talk(40);
    expect(fit(asked(messages, 100_000))).toMatchObject({ summarised: null, losses: [] });
    const { body, losses, summarised, request } = fit(asked(messages, 5_000));
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual((5_000 - 1_000) * 2);
    expect(losses).toEqual([
      {
        message: null,
        what: `${summarised?.count} messages of 3 to ${summarised?.to} are summarised (SHA-256 ${summarised?.hash})`,
      },
    ]);
    expect(body).toBe(PROVIDER_MODULES.anthropic.encode(request).body);
  });

  test('what a continuation adds stands whole behind it', () => {
    const added = [assistant('Half an ans'), user('Go on.')];
    const { request } = fit(asked(talk(40), 5_000), added);
    expect(request.messages.slice(-2)).toEqual(added);
  });

  test('an answer takes up half of a small context at most, and never less than is of use', () => {
    expect(fit(asked([user('Hi')], 1_600)).request.maxOutputTokens).toBe(800);
    expect(fit(asked([user('Hi')], 16_000)).request.maxOutputTokens).toBe(1_000);
  });

  test('what cannot be made to fit is refused in plain words', () => {
    expect(() => fit(asked([user('x'.repeat(9_000))], 2_000))).toThrow(
      'Its context of 2000 tokens cannot hold the goal, the constraints, the open tool calls and the last turn.',
    );
  });

  test('Ollama is never asked for a larger context than policy gives it', () => {
    const { body } = PROVIDER_MODULES['local-ollama'].encode(asked(talk(40), 6_000));
    expect((JSON.parse(body) as { options: { num_ctx: number } }).options.num_ctx).toBe(6_000);
  });

  test('property: where policy gives none, Ollama’s context holds each byte of a prompt as a token of its own', () => {
    fc.assert(
      fc.property(modelRequests, (request) => {
        const { body } = PROVIDER_MODULES['local-ollama'].encode(request);
        const { messages, options } = JSON.parse(body) as { messages: object[]; options: Record<string, number> };
        const text = JSON.stringify(messages.map((message) => ({ ...message, images: undefined })));
        const least = Buffer.byteLength(text) + request.maxOutputTokens;
        expect(options['num_ctx']).toBeGreaterThanOrEqual(least);
      }),
      { numRuns: 200 },
    );
  });

  test.each(PROVIDERS)('property: what is compacted for %s is what it takes', (name) => {
    const provider = PROVIDER_MODULES[name];
    fc.assert(
      fc.property(transcripts, fc.integer({ min: 1_024, max: 2_048 }), (messages, contextTokens) => {
        const long = [...messages, ...messages, ...messages];
        const request = asked(long, contextTokens);
        let fitted;
        try {
          fitted = fitToContext({ provider, request, minOutputTokens: 100, checkpoint: null, added: [] });
        } catch (error) {
          expect(String(error)).toContain('cannot hold');
          return;
        }
        expect(wrongWith(name, fitted.body, '/v1beta/models/m:streamGenerateContent')).toEqual([]);
      }),
      { numRuns: Math.ceil(RUNS / 4) },
    );
  });
});

describe('in a call', () => {
  const SMALL = POLICY.replace(
    '{ target: a, model: m, tier: 2 }',
    '{ target: a, model: m, tier: 2, context_tokens: 4096 }',
  );

  test('a candidate with a small context is shown less, on record, and the request is kept whole', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    await applyPolicy(seed.substrate, SMALL);
    const { router, calls } = routerOf(seed.substrate, { scripts: { 'a/m': says('Done.') } });
    const messages = talk(100);
    const { outcome } = await router.complete(asks('', { messages }), asker(), PATIENT);
    expect(outcome.status).toBe('complete');
    expect(outcome.losses).toEqual([expect.stringMatching(/^\d+ messages of 3 to \d+ are summarised/)]);
    const [sent] = calls;
    expect(sent?.request.messages.length).toBeLessThan(messages.length);
    expect(sent?.request.messages.at(-1)).toEqual(messages.at(-1));
    const intent = (await allReceipts(seed.substrate)).find(({ outcome: how }) => how === 'intent');
    expect(intent?.detail).toMatchObject({ losses: 1, summarised: expect.any(Number) as number });
    expect(intent?.detail['summarised_sha256']).toMatch(/^[0-9a-f]{64}$/);
  });

  test('where it cannot be made to fit, the next candidate is asked, and the first says why not', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    await applyPolicy(seed.substrate, SMALL);
    const { router } = routerOf(seed.substrate, { scripts: { 'b/m': says('All of it.') } });
    const messages = [user('x'.repeat(20_000))];
    const { outcome, text } = await router.complete(asks('', { messages }), asker(), PATIENT);
    expect(text).toBe('All of it.');
    expect(outcome.attempts[0]).toMatchObject({ target: 'a', outcome: 'skipped', code: 'cannot_carry' });
    expect(outcome.attempts[0]?.why).toContain('Its context of 4096 tokens cannot hold');
    expect(outcome.losses).toEqual([]);
  });
});
