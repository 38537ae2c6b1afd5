/**
 * A step of a session over the wire: each provider in turn cuts its answer off, the next one goes on, and
 * what is written is one answer. By the real SDKs and the real way out, against what providers refuse.
 */
import * as fc from '../../support/fast-check.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Egress } from '../../../src/membrane/egress.ts';
import { PROVIDER_MODULES } from '../../../src/mind/router/providers/index.ts';
import { Router } from '../../../src/mind/router/router.ts';
import { Steps } from '../../../src/mind/sessions/steps.ts';
import { Credentials } from '../../../src/substrate/home/credentials.ts';
import type { ProviderName } from '../../../src/substrate/policy/model.ts';
import { PROVIDERS } from '../../../src/substrate/policy/model.ts';
import { listHops } from '../../../src/substrate/sessions/hops.ts';
import type { ReadContext, WriteContext } from '../../../src/tools/define.ts';
import { sessionGet } from '../../../src/tools/session-get.ts';
import type { HopView } from '../../../src/tools/session-schema.ts';
import { readTranscript } from '../../../src/substrate/sessions/work.ts';
import type { Message, Part } from '../../../src/substrate/transcript.ts';
import { allReceipts, openSeed } from '../../support/home.ts';
import type { Behaviour, ProviderStub } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import { scratch } from '../../support/scratch.ts';
import { PIXEL } from '../../support/transcripts.ts';
import { letIn } from '../../substrate/bus/rig.ts';
import { look, open, SESSION_SCOPES } from '../../substrate/sessions/rig.ts';
import { applyPolicy, asks, PATIENT } from './rig.ts';

let stub: ProviderStub;
beforeAll(async () => {
  stub = await startProviderStub();
});
afterAll(async () => {
  await stub.close();
});

/** A role that asks these providers in turn. */
function policyFor(order: readonly ProviderName[], { more = '', usd = '1' } = {}): string {
  const each = (line: (name: ProviderName) => string): string => order.map(line).join('\n');
  return `
version: 1
targets:
${each((name) => `  ${name}: { provider: ${name}, base_url: "${stub.baseUrl(name)}" }`)}
roles:
  worker:
    dispatch: any
    max_output_tokens: 500
    timeouts_ms: { first_token: 5000, idle: 5000, total: 20000 }
    candidates:
${each((name) => `      - { target: ${name}, model: model-a, tier: 2${more} }`)}
ceilings:
  - { scope: seed, window: day, usd: "100.00" }
prices:
${each((name) => `  - { target: ${name}, model: model-a, input_usd_per_mtok: "${usd}", output_usd_per_mtok: "${usd}" }`)}
`;
}

async function scene(dir: Parameters<typeof openSeed>[0], policy: string) {
  const seed = await openSeed(dir);
  const { substrate } = seed;
  await applyPolicy(substrate, policy);
  const egress = new Egress({ credentials: new Credentials(seed.home, {}), now: seed.sources.now, halted: false });
  const onDefect = (error: Error): void => {
    throw error;
  };
  const router = new Router({
    substrate,
    provider: (name) => PROVIDER_MODULES[name],
    open: (target) => egress.open(target),
    register: () => () => {},
    onDefect,
  });
  const steps = new Steps({ substrate, router, onDefect });
  const ann = await letIn(substrate, 'ann', { scopes: SESSION_SCOPES });
  const { id } = await open(substrate, ann);
  const { session: _, ...request } = asks('');
  return {
    ...seed,
    ann,
    session: id,
    step: (messages: readonly Message[]) => {
      const asked = { session: id, epoch: null, key: null, traceparent: null };
      return steps.step({ ...asked, request: { ...request, messages } }, ann, PATIENT);
    },
    transcript: async () => {
      const session = await look(substrate, id);
      return substrate.read((db) => readTranscript(db, session));
    },
    [Symbol.asyncDispose]: async () => {
      await router.close(0);
      await egress.close();
      await seed[Symbol.asyncDispose]();
    },
  };
}

function user(...parts: Part[]): Message {
  return { role: 'user', parts };
}
const go = user({ type: 'text', text: 'Count.' });

/** Cuts the answer off behind its last word, before the terminal marker. */
function cutAfter(text: string, how: 'clean_end' | 'bad_chunk' | 'stream_error' = 'clean_end'): Behaviour {
  const answer = { text: [text] };
  return how === 'clean_end' ? { do: how, answer } : { do: how, after: 99, answer };
}

const USAGE = { usage: { input: 10, output: 5 } };
/** What nobody documents a maximum for, such as an image at NVIDIA, is bounded only where it costs nothing. */
const FREE = { usd: '0' };

test('[LOCK-HANDOFF-2] whatever the order of providers, three cuts and an end are one answer, and four hops on record', async () => {
  const orders = fc.shuffledSubarray([...PROVIDERS], { minLength: PROVIDERS.length });
  const words = fc.array(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((word) => word.trim() !== ''),
    {
      minLength: 4,
      maxLength: 4,
    },
  );
  await fc.assert(
    fc.asyncProperty(orders, words, async (order, said) => {
      using dir = scratch();
      await using seed = await scene(dir, policyFor(order));
      const [one = '', two = '', three = '', four = ''] = said;
      stub.next(cutAfter(one), cutAfter(two), cutAfter(three), { do: 'answer', answer: { text: [four], ...USAGE } });
      const before = stub.requests.length;
      const { call } = await seed.step([go]);
      expect(call.outcome.status).toBe('complete');
      expect(call.outcome.attempts.map(({ target, outcome }) => [target, outcome])).toEqual(
        order.map((name, index) => [name, index < 3 ? 'incomplete' : 'ok']),
      );
      // The reader sees one conversation.
      expect(await seed.transcript()).toEqual([
        go,
        { role: 'assistant', parts: [{ type: 'text', text: said.join('') }] },
      ]);
      // Each was shown all that had been said, and the stub took every request.
      const sent = stub.requests.slice(before).map(({ provider, body }) => ({ provider, body }));
      expect(sent.map(({ provider }) => provider)).toEqual(order);
      for (const [index, { body }] of sent.entries()) {
        const shown = JSON.stringify(said.slice(0, index).join('')).slice(1, -1);
        expect(body.includes(shown)).toBe(true);
      }
      const hops = await seed.substrate.read((db) => listHops(db, seed.session, 10));
      expect(hops.map(({ from, to }) => [from, to])).toEqual(
        [0, 1, 2].map((index) => [`${order[index]}/model-a`, `${order[index + 1]}/model-a`]),
      );
      const reader = { actor: seed.ann, substrate: seed.substrate } as unknown as ReadContext & WriteContext;
      const input = { session_id: seed.session, offset: 0, limit: 9, detail: 'full' };
      const read = await sessionGet.handler(input, reader);
      const { hash, hops: seen } = read as { hash: string; hops: HopView[] };
      expect(seen.map(({ why, receipts }) => [why, receipts.length])).toEqual(
        Array.from({ length: 3 }, () => ['cut', 2]),
      );
      // Nothing was added on the way: the hash of what was asked, before and after each hop.
      expect(new Set(seen.flatMap(({ hash: was, hash_after: then }) => [was, then])).size).toBe(1);
      expect(seen[0]?.hash).not.toBe(hash);
      expect(sessionGet.text?.(read)).toContain(
        `${order[0]}/model-a could not go on (cut), and ${order[1]}/model-a went on`,
      );
      const receipts = (await allReceipts(seed.substrate)).filter(({ action }) => action === 'route.attempt');
      expect(receipts.map(({ outcome }) => outcome)).toEqual(
        [0, 1, 2, 3].flatMap((index) => ['intent', index < 3 ? 'incomplete' : 'ok']),
      );
    }),
    { numRuns: process.env['SEED_TEST_LONG'] === '1' ? 100 : 6 },
  );
});

const CALLING = { text: ['I look. '], calls: [{ name: 'look', arguments: '{"at":1}' }] };

describe.each(PROVIDERS)('%s', (name) => {
  const others = PROVIDERS.filter((other) => other !== name);

  test('a cut behind the beginning of a tool call: the turn begins anew, and the call is there once', async () => {
    using dir = scratch();
    await using seed = await scene(dir, policyFor([name, ...others.slice(0, 1)]));
    stub.next({ do: 'clean_end', answer: CALLING }, { do: 'answer', answer: { ...CALLING, ...USAGE } });
    const { call } = await seed.step([go]);
    expect(call.outcome.status).toBe('complete');
    const [asked, answer] = await seed.transcript();
    expect(asked).toEqual(go);
    expect(answer?.parts.map(({ type }) => type)).toEqual(['text', 'tool_call']);
    expect(answer?.parts[0]).toEqual({ type: 'text', text: 'I look. ' });
  });

  test('with nobody left nothing is written, and the next step has the call once', async () => {
    using dir = scratch();
    await using seed = await scene(dir, policyFor([name, ...others.slice(0, 1)]));
    stub.next(cutAfter('I lo'), { do: 'clean_end', answer: CALLING }, { do: 'answer', answer: CALLING });
    const { call } = await seed.step([go]);
    expect(call.outcome.status).toBe('incomplete');
    expect(await seed.transcript()).toEqual([go]);
    expect((await seed.step([])).call.outcome.status).toBe('complete');
    const written = (await seed.transcript()).flatMap(({ parts }) => parts.filter(({ type }) => type === 'tool_call'));
    expect(written).toHaveLength(1);
  });

  test('images for a model without eyes: it says no, and the next one answers with the image before it', async () => {
    using dir = scratch();
    await using seed = await scene(dir, policyFor([name, ...others.slice(0, 1)], FREE));
    stub.next(
      { do: 'status', status: 400, body: '{"error":{"message":"this model does not support images"}}' },
      { do: 'answer', answer: { text: ['A pixel.'], ...USAGE } },
    );
    const { call } = await seed.step([user({ type: 'image', media_type: 'image/png', data: PIXEL })]);
    expect(call.text).toBe('A pixel.');
    expect(call.outcome.attempts).toMatchObject([
      { target: name, code: 'rejected', cost_micro_usd: 0 },
      { outcome: 'ok' },
    ]);
    expect(stub.requests.at(-1)?.body).toContain(PIXEL);
  });

  test('a small context in the middle of a session: its goal is shown, the transcript stays whole', async () => {
    using dir = scratch();
    await using seed = await scene(dir, policyFor([name], { more: ', context_tokens: 2048' }));
    stub.next({ do: 'answer', answer: { text: ['Brief.'], ...USAGE } });
    const long = Array.from({ length: 40 }, (_each, index) =>
      user({ type: 'text', text: `${index} ${'x'.repeat(200)}` }),
    );
    const { call } = await seed.step([...long, go]);
    expect(call.outcome.losses[0]).toMatch(/^\d+ messages of 1 to \d+ are summarised/);
    const body = stub.requests.at(-1)?.body ?? '';
    expect(Buffer.byteLength(body)).toBeLessThan(2 * 2_048);
    // The checkpoint's goal, and what was asked last.
    for (const words of ['Paint the fence', 'Count.']) expect(body).toContain(words);
    expect(await seed.transcript()).toHaveLength(42);
  });
});
