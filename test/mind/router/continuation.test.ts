import * as fc from '../../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import type { CallEvent } from '../../../src/mind/router/continuation.ts';
import { continuing, joined } from '../../../src/mind/router/continuation.ts';
import type { FaultKind, ProviderEvent } from '../../../src/mind/router/provider.ts';
import { ProviderFault } from '../../../src/mind/router/provider.ts';
import type { CompletionRequest } from '../../../src/mind/router/request.ts';
import { requestText } from '../../../src/mind/router/request.ts';
import { RunningCall } from '../../../src/mind/router/router.ts';
import { getContent } from '../../../src/substrate/content.ts';
import { listHops } from '../../../src/substrate/sessions/hops.ts';
import { moveSession, openSession, sessionOf } from '../../../src/substrate/sessions/sessions.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import { traceReceipt } from '../../../src/substrate/trace.ts';
import type { Opaque, Part } from '../../../src/substrate/transcript.ts';
import { CURSOR, allReceipts, openSeed } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import type { Rig, RigOptions, Script } from './rig.ts';
import { applyPolicy, asker, asks, fails, PATIENT, POLICY, routerOf, says } from './rig.ts';

const text = (value: string): ProviderEvent => ({ type: 'text', text: value });
const cut = (kind: FaultKind = 'cut'): ProviderFault =>
  new ProviderFault(kind, `It was ${kind}.`, { mayBeBilled: true });
const CALL: ProviderEvent = {
  type: 'tool_call',
  providerId: null,
  call: { type: 'tool_call', id: 'c1', name: 'look', arguments: '{}' },
};

/** Three candidates, a, b and c, each asked in turn. */
const THREE = POLICY.replace('targets:', 'targets:\n  c: { provider: anthropic, base_url: "https://c.example" }')
  .replace(
    '- { target: b, model: m, tier: 3 }',
    '- { target: b, model: m, tier: 3 }\n      - { target: c, model: m, tier: 3 }',
  )
  .replace('prices:', 'prices:\n  - { target: c, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }');

async function open(at: Parameters<typeof openSeed>[0], options: RigOptions & { policy?: string }) {
  const seed = await openSeed(at);
  await applyPolicy(seed.substrate, options.policy ?? THREE);
  return { ...seed, ...routerOf(seed.substrate, options), [Symbol.asyncDispose]: () => seed[Symbol.asyncDispose]() };
}

const CONTINUE: Partial<CompletionRequest> = { whenCut: 'continue' };

/** Makes a call with somebody listening from the start; what they heard comes with its end. */
async function heard({ router }: Rig, more: Partial<CompletionRequest> = CONTINUE) {
  const call = await router.start(asks('Hi', more), asker());
  if (!(call instanceof RunningCall)) throw new Error('It has ended already.');
  const events: CallEvent[] = [];
  call.listen((event) => events.push(event));
  const end = await call.done;
  return { ...end, call, events, told: told(events) };
}

/** The text that somebody has who follows the events. */
function told(events: readonly CallEvent[]): string {
  let so = '';
  for (const event of events) {
    if (event.type === 'void') so = '';
    else if (event.type === 'text') so += event.text;
  }
  return so;
}

function textOf(parts: readonly Part[] | undefined): string {
  return (parts ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('');
}

async function kept(substrate: Substrate, hash: string | null | undefined): Promise<string> {
  const content = await substrate.read((db) => getContent(db, hash ?? ''));
  const message = JSON.parse(Buffer.from(content ?? []).toString()) as { parts: Part[] };
  return textOf(message.parts);
}

async function attempts(substrate: Substrate) {
  return (await allReceipts(substrate)).filter(({ action }) => action === 'route.attempt');
}

describe('continue', () => {
  test('[LOCK-RUNTIME-4] two cuts, one text: nothing twice, nothing lost, each hop with its hash', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: {
        'a/m': fails(cut(), [text('One two th')]),
        'b/m': fails(cut('overloaded'), [text('ree fo'), text('ur')]),
        'c/m': says(' five.'),
      },
    });
    const { outcome, message, told: text_, events } = await heard(seed);
    expect(outcome.status).toBe('complete');
    expect(textOf(message?.parts)).toBe('One two three four five.');
    expect(text_).toBe('One two three four five.');
    expect(events.some(({ type }) => type === 'void')).toBe(false);
    const receipts = await attempts(seed.substrate);
    expect(receipts.map(({ outcome: how }) => how)).toEqual([
      'intent',
      'incomplete',
      'intent',
      expect.stringMatching(/incomplete|failed/),
      'intent',
      'ok',
    ]);
    const [, first, , second, third, last] = receipts;
    // What had been given out by then, at each hop.
    expect(await kept(seed.substrate, first?.output)).toBe('One two th');
    expect(await kept(seed.substrate, second?.output)).toBe('One two three four');
    expect(await kept(seed.substrate, last?.output)).toBe('One two three four five.');
    expect(receipts[2]?.detail['continues']).toBe(first?.seq);
    expect(third?.detail['continues']).toBe(second?.seq);
    const trace = await seed.substrate.read((db) => traceReceipt(db, last?.seq ?? -1));
    expect(trace?.receipts.map(({ seq }) => seq)).toEqual(receipts.map(({ seq }) => seq));
  });

  test('who goes on gets what is left of the answer’s maximum, and never less than the floor', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      policy: THREE.replace('max_output_tokens: 1000', 'max_output_tokens: 400').replace(
        /min_output_tokens: 10\b/,
        'min_output_tokens: 100',
      ),
      scripts: {
        'a/m': fails(cut(), [text('x'.repeat(300))]),
        'b/m': fails(cut(), [text('y'.repeat(900))]),
        'c/m': says('.'),
      },
    });
    await heard(seed);
    const intents = (await attempts(seed.substrate)).filter(({ outcome }) => outcome === 'intent');
    expect(intents.map(({ detail }) => detail['max_output_tokens'])).toEqual([400, 300, 100]);
  });

  test('the next candidate is shown the conversation, what was said, and is asked for the rest', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: { 'a/m': fails(cut(), [text('Half an ans')]), 'b/m': says('wer.') },
    });
    await heard(seed);
    const [first, second] = seed.calls.map(({ request }) => request.messages);
    expect(second?.slice(0, first?.length)).toEqual(first);
    expect(second?.slice(first?.length)).toEqual(continuing([{ type: 'text', text: 'Half an ans' }]));
    expect(second?.at(-2)).toEqual({ role: 'assistant', parts: [{ type: 'text', text: 'Half an ans' }] });
    expect(second?.at(-1)?.role).toBe('user');
  });

  test('[LOCK-RUNTIME-3] however often it is cut, a ceiling on one call holds for all its attempts together', async () => {
    const limit = 3_000;
    const ofCall = THREE.replace('ceilings:', 'ceilings:\n  - { scope: seed, window: call, usd: "0.003" }');
    const ask = async (policy: string) => {
      using dir = scratch();
      const scripts = {
        'a/m': fails(cut(), [text('One ')]),
        'b/m': fails(cut(), [text('two ')]),
        'c/m': fails(cut(), [text('three')]),
      };
      await using seed = await open(dir, { scripts, policy });
      const { outcome } = await heard(seed);
      return { outcome, asked: seed.calls.length };
    };
    const held = await ask(ofCall);
    expect(held.asked).toBeGreaterThan(1);
    expect(held.outcome.cost_micro_usd).toBeLessThanOrEqual(limit);
    expect(held.outcome).toMatchObject({ status: 'incomplete', code: 'over_ceiling', ceiling: { name: 'seed/call' } });
    // The control: without that ceiling the same call costs more.
    const free = await ask(THREE);
    expect([free.asked, free.outcome.cost_micro_usd > limit]).toEqual([3, true]);
  });

  test('nothing was said: the next one is asked as the first was', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: { 'a/m': fails(cut('rate_limited')), 'b/m': fails(cut(), [text('  ')]), 'c/m': says('Whole.') },
    });
    const { told: text_ } = await heard(seed);
    const [first, ...others] = seed.calls.map(({ request }) => request.messages);
    // Blank text is nothing to go on from; it stands all the same.
    for (const messages of others) expect(messages).toEqual(first);
    expect(text_).toBe('  Whole.');
  });

  test('after a tool call had begun and text was heard, it ends as incomplete: nobody answers in its place', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: { 'a/m': fails(cut(), [text('I look'), { type: 'tool_call_begun' }]), 'b/m': says('Never asked.') },
    });
    const { outcome, message, told: text_ } = await heard(seed);
    expect(outcome).toMatchObject({ status: 'incomplete', code: 'provider_failed' });
    expect([textOf(message?.parts), text_]).toEqual(['I look', 'I look']);
    expect(seed.calls.map(({ target }) => target)).toEqual(['a']);
  });

  test('after a tool call had begun and nobody had heard of it, the turn begins anew', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: { 'a/m': fails(cut(), [text('I look'), { type: 'tool_call_begun' }]), 'b/m': says('Anew.') },
    });
    const { outcome, text: said } = await seed.router.complete(asks('Hi', CONTINUE), asker(), PATIENT);
    expect([outcome.status, said]).toEqual(['complete', 'Anew.']);
    expect(seed.calls[1]?.request.messages).toEqual(seed.calls[0]?.request.messages);
  });

  test('what stood before is kept when only the part behind it has to begin anew', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: {
        'a/m': fails(cut(), [text('One ')]),
        'b/m': fails(cut(), [text('forget'), { type: 'tool_call_begun' }]),
        'c/m': says('two.'),
      },
    });
    const { text: said } = await seed.router.complete(asks('Hi', CONTINUE), asker(), PATIENT);
    expect(said).toBe('One two.');
    expect(seed.calls[2]?.request.messages).toEqual(seed.calls[1]?.request.messages);
  });

  test('the answer to a prompt that was cut off is not gone on from', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: { 'a/m': fails(cut('truncated'), [text('About what?')]), 'b/m': says('About this.') },
    });
    const { text: said } = await seed.router.complete(asks('Hi', CONTINUE), asker(), PATIENT);
    expect(said).toBe('About this.');
  });

  test('[LOCK-RUNTIME-4] nobody is left: incomplete with all that was given out, whatever the last one failed of', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: {
        'a/m': fails(cut(), [text('One ')]),
        'b/m': fails(cut(), [text('two ')]),
        'c/m': fails(cut('rate_limited')),
      },
    });
    const { outcome, message, call } = await heard(seed);
    expect(outcome).toMatchObject({ status: 'incomplete', code: 'provider_failed' });
    expect(textOf(message?.parts)).toBe('One two ');
    // As it is kept, for whoever asks later.
    const later = await seed.router.result(call.id, CURSOR, PATIENT);
    expect([later.text, later.outcome.status]).toEqual(['One two ', 'incomplete']);
  });

  test('over the ceiling in the middle: incomplete with what was given out, and no other model is asked', async () => {
    using dir = scratch();
    // Enough for one attempt, whose bound is then owed.
    const policy = THREE.replace('usd: "1.00"', 'usd: "0.002100"');
    await using seed = await open(dir, { policy, scripts: { 'a/m': fails(cut(), [text('Half')]) } });
    const { outcome, message, call } = await heard(seed);
    expect(outcome).toMatchObject({ status: 'incomplete', code: 'over_ceiling' });
    expect(textOf(message?.parts)).toBe('Half');
    expect((await seed.router.result(call.id, CURSOR, PATIENT)).text).toBe('Half');
    expect((await attempts(seed.substrate)).at(-1)).toMatchObject({ outcome: 'refused', code: 'over_ceiling' });
  });

  test('a tool call behind a continued text is given once and whole', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: {
        'a/m': fails(cut(), [text('I will ')]),
        'b/m': async function* () {
          yield text('look.');
          yield CALL;
          yield { type: 'end', stop: 'tool_calls', usage: null };
        },
      },
    });
    const { message, events } = await heard(seed);
    expect(message?.parts).toEqual([{ type: 'text', text: 'I will look.' }, CALL.type === 'tool_call' && CALL.call]);
    expect(events.filter(({ type }) => type === 'tool_call')).toHaveLength(1);
  });

  test('whoever listens late hears it from its beginning', async () => {
    using dir = scratch();
    const { promise: hold, resolve: goOn } = Promise.withResolvers<void>();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const slow: Script = async function* () {
      yield text('two ');
      reach();
      await hold;
      yield text('three.');
      yield { type: 'end', stop: 'end', usage: null };
    };
    await using seed = await open(dir, { scripts: { 'a/m': fails(cut(), [text('One ')]), 'b/m': slow } });
    const call = await seed.router.start(asks('Hi', CONTINUE), asker());
    if (!(call instanceof RunningCall)) throw new Error('It has ended already.');
    await reached;
    const events: CallEvent[] = [];
    call.listen((event) => events.push(event));
    expect([told(events), call.partialText()]).toEqual(['One two ', 'One two ']);
    goOn();
    await call.done;
    expect(told(events)).toBe('One two three.');
  });

  test('half a character at a cut is not given out; its other half is not invented', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: {
        'a/m': fails(cut(), [text('So \ud83d')]),
        'b/m': fails(cut(), [text('\ud83d'), text('\ude00 ')]),
        'c/m': says('!'),
      },
    });
    const { told: text_, message, events } = await heard(seed);
    expect([text_, textOf(message?.parts)]).toEqual(['So 😀 !', 'So 😀 !']);
    for (const event of events) if (event.type === 'text') expect(event.text.isWellFormed()).toBe(true);
  });

  test('a listener that throws is let go, and the answer goes on', async () => {
    using dir = scratch();
    await using seed = await open(dir, { scripts: { 'a/m': says('Whole.') } });
    const call = await seed.router.start(asks('Hi', CONTINUE), asker());
    if (!(call instanceof RunningCall)) throw new Error('It has ended already.');
    call.listen(() => {
      throw new Error('a broken pipe');
    });
    expect((await call.done).outcome.status).toBe('complete');
    expect(seed.defects).toHaveLength(1);
  });
});

describe('restart', () => {
  test('what was heard is void, and the answer begins anew', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: { 'a/m': fails(cut(), [text('Half')]), 'b/m': fails(cut('rate_limited')), 'c/m': says('Whole.') },
    });
    const { events, told: text_, message } = await heard(seed, {});
    expect(events.map(({ type }) => type).filter((type) => type === 'void')).toHaveLength(1);
    expect([text_, textOf(message?.parts)]).toEqual(['Whole.', 'Whole.']);
    expect(seed.calls.map(({ request }) => request.messages)).toEqual(Array(3).fill(seed.calls[0]?.request.messages));
  });

  test('is what a request means that says nothing, and is part of what an idempotency key is bound to', () => {
    const plain = asks('Hi');
    expect(requestText({ ...plain, whenCut: 'restart' })).toBe(requestText(plain));
    expect(requestText({ ...plain, whenCut: 'continue' })).not.toBe(requestText(plain));
  });
});

describe('joining', () => {
  const opaque = (data: string): Opaque => ({ type: 'opaque', provider: 'p', model: 'm', api: 'a', data });
  const said = (value: string): Part => ({ type: 'text', text: value });
  const call: Part = { type: 'tool_call', id: 'c', name: 'run', arguments: '{}' };

  test.each<[string, Part[], Part[], Part[]]>([
    ['text to text', [said('a')], [said('b')], [said('ab')]],
    ['nothing before', [], [opaque('"x"'), said('b')], [opaque('"x"'), said('b')]],
    ['nothing after', [said('a')], [], [said('a')]],
    [
      'reasoning of both in front',
      [opaque('"1"'), said('a')],
      [opaque('"2"'), said('b')],
      [opaque('"1"'), opaque('"2"'), said('ab')],
    ],
    ['a call after', [said('a')], [opaque('"2"'), call], [opaque('"2"'), said('a'), call]],
    [
      'reasoning in between',
      [said('a')],
      [said('b'), opaque('"2"'), said('c')],
      [said('ab'), opaque('"2"'), said('c')],
    ],
  ])('%s', (_name, before, after, whole) => {
    expect(joined(before, after)).toEqual(whole);
  });
});

const RUNS = process.env['SEED_TEST_LONG'] === '1' ? 500 : 25;

test('property: wherever an answer is cut, in whatever pieces it comes, the joined text is the text', async () => {
  using dir = scratch();
  const scripts: Record<string, Script> = {};
  await using seed = await open(dir, { policy: THREE.replace('usd: "1.00"', 'usd: "1000.00"'), scripts });
  const pieces = fc.array(fc.string({ unit: 'binary', maxLength: 6 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(pieces, pieces, pieces, async (first, second, third) => {
      Object.assign(scripts, {
        'a/m': fails(cut(), first.map(text)),
        'b/m': fails(cut('bad_chunk'), second.map(text)),
        'c/m': async function* () {
          yield* third.map(text);
          yield { type: 'end', stop: 'end', usage: null };
        } satisfies Script,
      });
      const { message, told: text_ } = await heard(seed);
      const whole = [first, second, third].map((some) => some.join('')).join('');
      expect(text_).toBe(whole);
      expect(textOf(message?.parts)).toBe(whole);
    }),
    { numRuns: RUNS },
  );
});

describe('in a session', () => {
  async function withSession(substrate: Substrate) {
    const { value } = await substrate.operate({ action: 'session.open', actor: CURSOR }, (op) =>
      openSession(op, CURSOR, {
        id: 's1',
        checkpoint: { goal: 'Mend it', constraints: ['No force push'] },
        scopes: ['route.complete'],
        budgetMicroUsd: null,
        deadline: null,
      }),
    );
    return value;
  }
  const IN_SESSION: Partial<CompletionRequest> = { ...CONTINUE, session: 's1' };
  const hopsOf = (substrate: Substrate) => substrate.read((db) => listHops(db, 's1', 10));

  test('[LOCK-HANDOFF-2] each hop is offered with the failure and redeemed with the next intent, the transcript unchanged', async () => {
    using dir = scratch();
    await using seed = await open(dir, {
      scripts: { 'a/m': fails(cut('rate_limited')), 'b/m': fails(cut(), [text('Half ')]), 'c/m': says('done.') },
    });
    const session = await withSession(seed.substrate);
    const { message } = await heard(seed, IN_SESSION);
    expect(textOf(message?.parts)).toBe('Half done.');
    const [, first, second, end, last] = await attempts(seed.substrate);
    const hops = await hopsOf(seed.substrate);
    expect(hops).toMatchObject([
      { from: 'a/m', to: 'b/m', why: 'rate_limited', offered: first?.seq, redeemed: second?.seq, epoch: 1 },
      { from: 'b/m', to: 'c/m', why: 'cut', offered: end?.seq, redeemed: last?.seq, epoch: 1 },
    ]);
    for (const { hash, hashAfter } of hops)
      expect([hash, hashAfter]).toEqual([session.runningHash, session.runningHash]);
    expect(last?.detail).toMatchObject({ hop_from: 'b/m', hop_of: end?.seq, transcript: session.runningHash });
    // The holder stays who it was, and is not fenced off.
    expect(await seed.substrate.read((db) => sessionOf(db, 's1'))).toMatchObject({ epoch: 1, holderName: 'cursor' });
  });

  test('over the ceiling with on_ceiling: next is a hop too', async () => {
    using dir = scratch();
    const policy = THREE.replace('usd: "1.00"', 'usd: "0.000001"')
      .replace('min_output_tokens: 10', 'min_output_tokens: 10\n    on_ceiling: next')
      .replace(
        '{ target: c, model: m, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }',
        '{ target: c, model: m, input_usd_per_mtok: "0", output_usd_per_mtok: "0" }',
      );
    await using seed = await open(dir, { policy, scripts: { 'c/m': says('Free.') } });
    await withSession(seed.substrate);
    const { outcome } = await heard(seed, IN_SESSION);
    expect(outcome.status).toBe('complete');
    expect(await hopsOf(seed.substrate)).toMatchObject([{ from: 'a/m', to: 'c/m', why: 'over_ceiling' }]);
  });

  test('[LOCK-HANDOFF-1] when the session went to another holder meanwhile, nobody goes on', async () => {
    using dir = scratch();
    const { promise: moved, resolve: move } = Promise.withResolvers<void>();
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    await using seed = await open(dir, {
      scripts: {
        'a/m': async function* () {
          yield text('Half');
          reach();
          await moved;
          throw cut();
        },
        'b/m': says('Never asked.'),
      },
    });
    const session = await withSession(seed.substrate);
    const ending = heard(seed, IN_SESSION);
    await reached;
    const to = { actor: CURSOR, scopes: session.scopes, budgetMicroUsd: null, reserveMicroUsd: 0 };
    // To somebody else and back: the same name holds it, and it is not the same any more.
    await seed.substrate.operate({ action: 'handoff.accept', actor: CURSOR }, async (op) => {
      await moveSession(op, await sessionOf(op, 's1'), to);
    });
    move();
    const { outcome, message } = await ending;
    expect(seed.calls.map(({ target }) => target)).toEqual(['a']);
    expect(outcome).toMatchObject({ status: 'incomplete', code: 'superseded' });
    expect(textOf(message?.parts)).toBe('Half');
    expect(await hopsOf(seed.substrate)).toEqual([]);
  });

  test('outside a session there are no hops', async () => {
    using dir = scratch();
    await using seed = await open(dir, { scripts: { 'a/m': fails(cut()), 'b/m': says('Here.') } });
    await withSession(seed.substrate);
    await heard(seed);
    expect(await hopsOf(seed.substrate)).toEqual([]);
  });
});
