/** A tool call has one result, right after it: what a client mixes up it is told, in each of the three forms. */
import { describe, expect, test } from 'vitest';
import { anthropic } from '../../../src/doors/gateway/anthropic/wire.ts';
import { openai } from '../../../src/doors/gateway/openai/wire.ts';
import { responses } from '../../../src/doors/gateway/openai/responses.ts';

/** A conversation in short: `?a` calls, `=a` answers, `u` is the user's word, `t` the model’s text, `s` a system’s. */
type Short = readonly string[];

function chat(short: Short): object[] {
  return short.map((one) => {
    const ids = one.slice(1).split('');
    const calls = ids.map((id) => ({ id, type: 'function', function: { name: 'look', arguments: '{}' } }));
    if (one.startsWith('?')) return { role: 'assistant', content: null, tool_calls: calls };
    if (one.startsWith('=')) return { role: 'tool', tool_call_id: ids[0], content: 'x' };
    return { role: { u: 'user', t: 'assistant', s: 'system' }[one], content: 'x' };
  });
}

function messages(short: Short): object[] {
  return short.map((one) => {
    const ids = one.slice(1).split('');
    if (one.startsWith('?')) {
      return { role: 'assistant', content: ids.map((id) => ({ type: 'tool_use', id, name: 'look', input: {} })) };
    }
    if (one.startsWith('=')) {
      return { role: 'user', content: ids.map((id) => ({ type: 'tool_result', tool_use_id: id, content: 'x' })) };
    }
    return { role: { u: 'user', t: 'assistant', s: 'system' }[one], content: 'x' };
  });
}

function items(short: Short): object[] {
  return short.flatMap((one): object[] => {
    const ids = one.slice(1).split('');
    if (one.startsWith('?')) {
      return ids.map((call_id) => ({ type: 'function_call', call_id, name: 'look', arguments: '{}' }));
    }
    if (one.startsWith('=')) return ids.map((call_id) => ({ type: 'function_call_output', call_id, output: 'x' }));
    return [{ role: { u: 'user', t: 'assistant', s: 'system' }[one], content: 'x' }];
  });
}

const asking = {
  'Chat Completions': (short: Short) => openai.parse({ model: 'm', messages: chat(short) }, {}),
  Messages: (short: Short) => anthropic.parse({ model: 'm', max_tokens: 9, messages: messages(short) }, {}),
  Responses: (short: Short) => responses.parse({ model: 'm', input: items(short) }, {}),
};

/** The field that is named for it, by API; undefined where the API takes it. */
type Named = Readonly<Partial<Record<keyof typeof asking, string>>>;

const REFUSED: [string, Short, Named][] = [
  [
    'a result of no call',
    ['u', '=x', 'u'],
    {
      'Chat Completions': 'messages.1.tool_call_id',
      Messages: 'messages.1.content.0.tool_use_id',
      Responses: 'input.1.call_id',
    },
  ],
  [
    'a result of another call',
    ['u', '?a', '=b', 'u'],
    {
      'Chat Completions': 'messages.2.tool_call_id',
      Messages: 'messages.2.content.0.tool_use_id',
      Responses: 'input.2.call_id',
    },
  ],
  [
    'two results of one call',
    ['u', '?a', '=a', '=a', 'u'],
    {
      'Chat Completions': 'messages.3.tool_call_id',
      Messages: 'messages.3.content.0.tool_use_id',
      Responses: 'input.3.call_id',
    },
  ],
  [
    'a call without a result, before the user goes on',
    ['u', '?ab', '=a', 'u'],
    {
      'Chat Completions': 'messages.1.tool_calls.1.id',
      Messages: 'messages.1.content.1.id',
      Responses: 'input.2.call_id',
    },
  ],
  [
    'a call without a result, before another answer',
    ['u', '?a', 'u', 't', 'u'],
    {
      'Chat Completions': 'messages.1.tool_calls.0.id',
      Messages: 'messages.1.content.0.id',
      Responses: 'input.1.call_id',
    },
  ],
  [
    'a result after the next answer',
    ['u', '?a', 'u', 't', '=a'],
    {
      'Chat Completions': 'messages.1.tool_calls.0.id',
      Messages: 'messages.1.content.0.id',
      Responses: 'input.1.call_id',
    },
  ],
  ['a result behind the user’s word', ['u', '?a', 'u', '=a'], { 'Chat Completions': 'messages.1.tool_calls.0.id' }],
  [
    'a call at the very end',
    ['u', 't', 'u', '?a', 'u'],
    {
      'Chat Completions': 'messages.3.tool_calls.0.id',
      Messages: 'messages.3.content.0.id',
      Responses: 'input.3.call_id',
    },
  ],
  [
    'two calls of one id',
    ['u', '?aa', '=a', '=a'],
    {
      'Chat Completions': 'messages.1.tool_calls.1.id',
      Messages: 'messages.1.content.1.id',
      Responses: 'input.2.call_id',
    },
  ],
];

const TAKEN: [string, Short][] = [
  ['one', ['u', '?a', '=a']],
  ['two at once, answered in another order', ['u', '?ab', '=b', '=a', 'u']],
  ['one after the other', ['u', '?a', '=a', '?b', '=b', 't', 'u']],
  ['an id that comes again', ['u', '?a', '=a', '?a', '=a', 'u']],
  ['a word of the system’s in between', ['u', '?a', 's', '=a', 'u']],
];

describe.each(Object.entries(asking))('%s', (name, ask) => {
  test.each(REFUSED)('refuses %s', (_what, short, named) => {
    const field = named[name as keyof typeof asking];
    if (field === undefined) expect(() => ask(short)).not.toThrow();
    else
      expect(() => ask(short)).toThrow(expect.objectContaining({ code: 'invalid_input', data: { argument: field } }));
  });

  test.each(TAKEN)('takes calls with their results: %s', (_what, short) => {
    const { request } = ask(short);
    const parts = request.messages.flatMap((message) => message.parts);
    const ids = (type: string): string[] =>
      parts.flatMap((part) =>
        part.type !== type
          ? []
          : part.type === 'tool_call'
            ? [part.id]
            : part.type === 'tool_result'
              ? [part.call]
              : [],
      );
    expect(ids('tool_result').toSorted()).toEqual(ids('tool_call').toSorted());
  });
});

test('what only counts its tokens may be a piece of a conversation', () => {
  const piece = { model: 'm', messages: messages(['u', '?a']) };
  expect(anthropic.count(piece).model).toBe('m');
});

test('where the order is another than a model is shown, that is listed', () => {
  expect(asking.Responses(['u', '?a', 'u', '=a']).notCarried).toEqual(['input.order']);
  expect(asking.Responses(['u', '?a', '=a', 'u']).notCarried).toEqual([]);
});
