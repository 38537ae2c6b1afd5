/** Plain calls: told from all others, answered as the SDK answers them, and held to the same rules. */
import type { Server, Socket } from 'node:net';
import { createServer, connect } from 'node:net';
import { createInterface } from 'node:readline';
import { classifyInboundRequest } from '@modelcontextprotocol/server';
import * as fc from '../support/fast-check.ts';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Call, CallRequest } from '../../src/doors/call.ts';
import type { McpServing } from '../../src/doors/mcp.ts';
import { createServing } from '../../src/doors/mcp.ts';
import type { Connection } from '../../src/doors/mcp-socket.ts';
import { serveConnection } from '../../src/doors/mcp-socket.ts';
import { Envelopes, headersAgree, toPlainCall } from '../../src/doors/plain-call.ts';
import { findGrantsNamed } from '../../src/substrate/identity/grants.ts';
import { TOOLS } from '../support/tools.ts';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { Answer, Rig, RpcAnswer } from './rig.ts';
import { ask, askOwner, asOwner, connectAgent, edit, INITIALIZE, issue, openRig, outcome } from './rig.ts';

const REVISION = '2026-07-28';
const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': REVISION,
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
/** Says nothing that matters, and is enough for a call not to be plain. */
const TRACE = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };

type Fields = Record<string, unknown>;

function message(name: string, input: unknown, { id = 1, meta }: { id?: unknown; meta?: Fields } = {}): Fields {
  const params = {
    name,
    ...(input === undefined ? {} : { arguments: input }),
    ...(meta === undefined ? {} : { _meta: meta }),
  };
  return { jsonrpc: '2.0', id, method: 'tools/call', params };
}

describe('a plain call', () => {
  const see = (value: unknown) => toPlainCall(JSON.parse(JSON.stringify(value)), new Envelopes());

  test('is one with the envelope, or one with none', () => {
    expect(see(message('seed_status', { a: 1 }, { meta: ENVELOPE }))).toEqual({
      id: 1,
      name: 'seed_status',
      input: { a: 1 },
      era: 'modern',
    });
    expect(see(message('seed_status', undefined, { id: 'x' }))).toEqual({
      id: 'x',
      name: 'seed_status',
      input: undefined,
      era: 'legacy',
    });
  });

  const base = message('seed_status', {}, { meta: ENVELOPE }) as { params: Fields };
  const params = (more: Fields): Fields => ({ ...base, params: { ...base.params, ...more } });
  test.each<[string, unknown]>([
    ['another method', { ...base, method: 'tools/list' }],
    ['no id', { ...base, id: undefined }],
    ['an id that is null', { ...base, id: null }],
    ['an id that is no whole number', { ...base, id: 1.5 }],
    ['another version of JSON-RPC', { ...base, jsonrpc: '1.0' }],
    ['a further field', { ...base, more: 1 }],
    ['no params', { ...base, params: undefined }],
    ['params that are a list', { ...base, params: [] }],
    ['a further param', params({ requestState: 'x' })],
    ['no name', params({ name: undefined })],
    ['a name that is no text', params({ name: 1 })],
    ['arguments that are a list', params({ arguments: [] })],
    ['arguments that are null', params({ arguments: null })],
    ['an envelope that is null', params({ _meta: null })],
    ['a wish for progress', params({ _meta: { ...ENVELOPE, progressToken: 1 } })],
    ['a wish for progress and no envelope', params({ _meta: { progressToken: 1 } })],
    ['a log level', params({ _meta: { ...ENVELOPE, 'io.modelcontextprotocol/logLevel': 'debug' } })],
    ['a trace', params({ _meta: { ...ENVELOPE, ...TRACE } })],
    ['another revision', params({ _meta: { ...ENVELOPE, 'io.modelcontextprotocol/protocolVersion': '2027-01-01' } })],
    ['no capabilities', params({ _meta: { 'io.modelcontextprotocol/protocolVersion': REVISION } })],
    [
      'capabilities of a wrong form',
      params({ _meta: { ...ENVELOPE, 'io.modelcontextprotocol/clientCapabilities': 1 } }),
    ],
    ['a client of a wrong form', params({ _meta: { ...ENVELOPE, 'io.modelcontextprotocol/clientInfo': { name: 1 } } })],
    ['a list', [base]],
    ['null', null],
    ['a text', 'tools/call'],
  ])('is not one with %s', (_what, value) => {
    expect(see(value)).toBeNull();
  });

  test('is not one whose arguments have a name of the prototype', () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"__proto__":{}}}}';
    expect(toPlainCall(JSON.parse(text), new Envelopes())).toBeNull();
    expect(toPlainCall(JSON.parse(text.replace('__proto__', 'proto')), new Envelopes())).not.toBeNull();
  });

  test('is one that the SDK takes for a call of its era, whatever envelopes came before', () => {
    const envelopes = new Envelopes();
    const meta = fc.oneof(
      fc.constant(undefined),
      fc.record(
        {
          'io.modelcontextprotocol/protocolVersion': fc.constantFrom<unknown>(REVISION, REVISION, '2025-06-18', 7),
          'io.modelcontextprotocol/clientInfo': fc.oneof(
            fc.record({ name: fc.string(), version: fc.string() }),
            fc.json().map((text) => JSON.parse(text) as unknown),
          ),
          'io.modelcontextprotocol/clientCapabilities': fc.oneof(
            fc.record(
              { sampling: fc.constantFrom<unknown>({}, 1), elicitation: fc.constantFrom<unknown>({}, null) },
              { requiredKeys: [] },
            ),
            fc.json().map((text) => JSON.parse(text) as unknown),
          ),
          progressToken: fc.constantFrom<unknown>(1, 'a'),
        },
        { requiredKeys: [] },
      ),
    );
    const id = fc.oneof(fc.integer(), fc.string(), fc.constantFrom<unknown>(null, 0.5, {}));
    fc.assert(
      fc.property(id, fc.dictionary(fc.string(), fc.jsonValue()), meta, (each, input, envelope) => {
        const sent: unknown = JSON.parse(
          JSON.stringify(
            message('seed_status', input, { id: each, ...(envelope === undefined ? {} : { meta: envelope }) }),
          ),
        );
        const call = toPlainCall(sent, envelopes);
        if (call === null) return;
        const { kind } = classifyInboundRequest({ httpMethod: 'POST', body: sent });
        expect(kind).toBe(call.era);
        expect(call.id).toBe(each);
      }),
      { numRuns: 500 },
    );
  });

  test('agrees with its headers, or is not plain over HTTP', () => {
    const call = see(message('seed_status', {}, { meta: ENVELOPE }));
    const headers = { 'mcp-protocol-version': REVISION, 'mcp-method': 'tools/call', 'mcp-name': 'seed_status' };
    if (call === null) throw new Error('The call is plain.');
    expect(headersAgree(headers, call)).toBe(true);
    for (const name of Object.keys(headers)) {
      expect(headersAgree({ ...headers, [name]: 'other' }, call)).toBe(false);
      expect(headersAgree({ ...headers, [name]: undefined }, call)).toBe(false);
    }
    expect(headersAgree(headers, { ...call, era: 'legacy' })).toBe(false);
  });
});

let folder: Scratch;
let rig: Rig;

beforeAll(async () => {
  folder = scratch();
  rig = await openRig(folder.at('home'));
});

afterAll(async () => {
  await rig.close();
  folder[Symbol.dispose]();
});

/** What differs from call to call: the head of the log, numbers of receipts, and what is counted. */
const PASSING = new Set(['sovereign-seed/checkpoint', 'sovereign-seed/receipt', 'receipt', 'receipts', 'calls']);

function comparable(answer: object): unknown {
  const text = JSON.stringify(answer, (key, value: unknown) =>
    PASSING.has(key) && typeof value !== 'object' ? typeof value : value,
  );
  return JSON.parse(text.replaceAll(/receipt \d+|\d+ (?:receipts|calls)/g, 'N'));
}

/** What is called in each way: what works, what is refused, and what is wrong. */
const CALLS: readonly [string, unknown][] = [
  ['receipt_get', { seq: 0 }],
  ['seed_status', {}],
  ['seed_status', undefined],
  ['membrane_whoami', {}],
  ['receipt_note', { text: 'Dienstag 😀 \u2028' }],
  ['receipt_get', { seq: 999_999 }],
  ['receipt_get', { seq: 'x' }],
  ['receipt_get', { seq: 0, more: true }],
  ['membrane_list', {}],
  ['no_such_tool', {}],
  ['key_issue', { name: 'mine', scopes: [] }],
];

interface Line {
  readonly exchange: (sent: Fields) => Promise<Fields>;
  readonly send: (sent: Fields) => void;
  readonly lines: readonly Fields[];
  readonly socket: Socket;
  /** How many calls were answered as plain ones. */
  readonly plain: () => number;
  readonly defects: readonly Error[];
  readonly close: () => Promise<void>;
}

/** One connection to the socket's side of MCP, with the pipeline, or with another in its place. */
async function openLine(agent: string, call: Call = rig.call): Promise<Line> {
  (await connectAgent(rig, agent)).close();
  const [grant] = await rig.substrate.read((db) => findGrantsNamed(db, agent));
  if (grant === undefined) throw new Error('The agent has a grant.');
  const { membrane, substrate } = rig;
  const checkpoint = async (): Promise<string> => (await substrate.log()).checkpoint;
  const defects: Error[] = [];
  const onDefect = (error: Error): void => {
    defects.push(error);
  };
  const made = createServing({ tools: TOOLS, call, version: '0.1.0', checkpoint, onDefect });
  let plain = 0;
  const serving: McpServing = {
    ...made,
    answer: (...given) => {
      plain++;
      return made.answer(...given);
    },
  };
  const served = Promise.withResolvers<void>();
  const server: Server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('close', () => served.resolve());
    const connection: Connection = { grant, socket, calls: new Set(), notify: () => {} };
    serveConnection({ membrane, serving, onDefect }, connection, { surface: 'full', greeting: '' });
  });
  const path = folder.at(`${agent}.sock`);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const socket = connect(path);
  const lines: Fields[] = [];
  createInterface({ input: socket }).on('line', (line) => lines.push(JSON.parse(line) as Fields));
  const send = (sent: Fields): void => {
    socket.write(`${JSON.stringify(sent)}\n`);
  };
  return {
    lines,
    socket,
    send,
    plain: () => plain,
    defects,
    exchange: async (sent) => {
      send(sent);
      const isAnswer = (line: Fields): boolean => line['id'] === sent['id'];
      await until(() => lines.some(isAnswer), `an answer to ${String(sent['id'])}`);
      return lines.find(isAnswer) ?? {};
    },
    close: async () => {
      socket.destroy();
      await served.promise;
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('on the socket', () => {
  test.each(['modern', 'legacy'] as const)('a plain call is answered as the SDK answers it: %s', async (era) => {
    const line = await openLine(`same-${era}`);
    const plainMeta = era === 'modern' ? { meta: ENVELOPE } : {};
    const otherMeta = { meta: era === 'modern' ? { ...ENVELOPE, ...TRACE } : TRACE };
    if (era === 'legacy') await line.exchange({ jsonrpc: '2.0', id: 'init', method: 'initialize', params: INITIALIZE });
    // The first one settles the era and is the SDK's.
    await line.exchange(message('seed_status', {}, { id: 'first', ...plainMeta }));
    expect(line.plain()).toBe(0);
    for (const [index, [tool, input]] of CALLS.entries()) {
      const before = line.plain();
      const plain = await line.exchange(message(tool, input, { id: `plain-${index}`, ...plainMeta }));
      // What is no tool of theirs is for the SDK to say.
      expect(line.plain() - before).toBe(tool === 'no_such_tool' || tool === 'key_issue' ? 0 : 1);
      const other = await line.exchange(message(tool, input, { id: `other-${index}`, ...otherMeta }));
      expect(line.plain() - before).toBeLessThan(2);
      expect(comparable({ ...plain, id: 0 })).toEqual(comparable({ ...other, id: 0 }));
    }
    expect(line.defects).toEqual([]);
    await line.close();
  });

  test('a call in another era than the connection’s is refused by the SDK', async () => {
    const line = await openLine('eras');
    await line.exchange(message('seed_status', {}, { id: 1, meta: ENVELOPE }));
    expect(await line.exchange(message('seed_status', {}, { id: 2 }))).toHaveProperty('error');
    expect(line.plain()).toBe(0);
    expect(await line.exchange(message('seed_status', {}, { id: 3, meta: ENVELOPE }))).toHaveProperty('result');
    expect(line.plain()).toBe(1);
    await line.close();
  });

  /** A pipeline whose calls end when they are cancelled. */
  function waiting(): { call: Call; begun: CallRequest[]; aborted: () => number } {
    const begun: CallRequest[] = [];
    let aborted = 0;
    const call: Call = (request) => {
      if (request.tool !== 'bus_receive') return rig.call(request);
      begun.push(request);
      return new Promise((resolve) => {
        request.signal?.addEventListener('abort', () => {
          aborted++;
          resolve({ messages: [] });
        });
      });
    };
    return { call, begun, aborted: () => aborted };
  }

  test('a plain call that is taken back is cancelled and not answered; others are', async () => {
    const { call, begun, aborted } = waiting();
    const line = await openLine('cancels', call);
    await line.exchange(message('seed_status', {}, { id: 1, meta: ENVELOPE }));
    line.send(message('bus_receive', {}, { id: 'taken-back', meta: ENVELOPE }));
    line.send(message('bus_receive', {}, { id: 'kept', meta: ENVELOPE }));
    await until(() => begun.length === 2, 'both calls');
    line.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'taken-back' } });
    await until(() => aborted() === 1, 'the cancellation');
    await line.exchange(message('seed_status', {}, { id: 2, meta: ENVELOPE }));
    expect(line.lines.map(({ id }) => id)).toEqual([1, 2]);
    expect(line.plain()).toBe(3);
    await line.close();
    expect(aborted()).toBe(2);
  });

  test('a client that hangs up has its plain calls cancelled', async () => {
    const { call, begun, aborted } = waiting();
    const line = await openLine('hangs-up', call);
    await line.exchange(message('seed_status', {}, { id: 1, meta: ENVELOPE }));
    line.send(message('bus_receive', {}, { id: 2, meta: ENVELOPE }));
    await until(() => begun.length === 1, 'the call');
    line.socket.destroy();
    await until(() => aborted() === 1, 'the cancellation');
    await line.close();
  });

  test('an answer that cannot be written down is told as a defect, and the call is answered', async () => {
    const line = await openLine('unwritable', async (request) =>
      request.tool === 'receipt_get' ? { receipt: { input: null, output: null, seq: 1n } } : rig.call(request),
    );
    await line.exchange(message('seed_status', {}, { id: 1, meta: ENVELOPE }));
    expect(await line.exchange(message('receipt_get', { seq: 0 }, { id: 2, meta: ENVELOPE }))).toMatchObject({
      result: { isError: true, resultType: 'complete', structuredContent: { code: 'internal' } },
    });
    expect(line.plain()).toBe(1);
    expect(line.defects).toHaveLength(1);
    await line.close();
  });

  test('lines come in pieces, several at once, and between lines that are no messages', async () => {
    const line = await openLine('pieces');
    await line.exchange(message('seed_status', {}, { id: 0, meta: ENVELOPE }));
    const texts = [1, 2, 3, 4].map((id) => JSON.stringify(message('receipt_get', { seq: 0 }, { id, meta: ENVELOPE })));
    const stream = Buffer.from(
      `${texts[0]}\r\n\nwelcome to the shell ä\n${texts[1]}\n[]\n{}\n${texts[2]}\n${texts[3]}\n`,
    );
    for (const part of [
      stream.subarray(0, 50),
      stream.subarray(50, 51),
      stream.subarray(51, 400),
      stream.subarray(400),
    ]) {
      await new Promise<void>((resolve) => line.socket.write(part, () => resolve()));
    }
    // What is JSON and no message is told so, to nobody in particular.
    await until(() => line.lines.length === 7, 'all answers');
    expect(new Set(line.lines.map(({ id }) => id))).toEqual(new Set([0, 1, 2, 3, 4, null]));
    expect(line.plain()).toBe(4);
    await line.close();
  });

  test('what reads is looked up together where it comes together, and what writes at once', async () => {
    const line = await openLine('together');
    await line.exchange(message('seed_status', {}, { id: 0, meta: ENVELOPE }));
    const asked = vi.spyOn(rig.substrate, 'foreignVersion');
    try {
      const send = async (tool: string, input: Fields, ids: readonly number[]): Promise<number> => {
        const before = asked.mock.calls.length;
        const texts = ids.map((id) => `${JSON.stringify(message(tool, input, { id, meta: ENVELOPE }))}\n`);
        line.socket.write(texts.join(''));
        await until(() => ids.every((id) => line.lines.some((each) => each['id'] === id)), 'all answers');
        return asked.mock.calls.length - before;
      };
      expect(await send('receipt_get', { seq: 0 }, [1, 2, 3, 4])).toBe(1);
      expect(await send('receipt_note', { text: 'x' }, [5, 6, 7, 8])).toBe(4);
      edit(rig.home, 'DELETE FROM substrate_grants WHERE name = ?', 'together');
      expect(await send('receipt_get', { seq: 0 }, [9, 10])).toBe(1);
      const gone = line.lines.filter(({ id }) => Number(id) >= 9);
      expect(gone.map((answer) => outcome(answer as unknown as RpcAnswer))).toEqual(['key_revoked', 'key_revoked']);
    } finally {
      asked.mockRestore();
    }
    await line.close();
  });

  test('JSON that is nested without end stops neither the connection nor the daemon', async () => {
    const line = await openLine('deep');
    await line.exchange(message('seed_status', {}, { id: 1, meta: ENVELOPE }));
    const deep = JSON.stringify(
      message(
        'seed_status',
        {},
        { id: 2, meta: { ...ENVELOPE, 'io.modelcontextprotocol/clientCapabilities': { a: 'HERE' } } },
      ),
    );
    line.socket.write(`${deep.replace('"HERE"', `${'['.repeat(200_000)}${']'.repeat(200_000)}`)}\n`);
    expect(await line.exchange(message('seed_status', {}, { id: 3, meta: ENVELOPE }))).toHaveProperty('result');
    await line.close();
  });
});

interface Plain extends RpcAnswer {
  /** Whether it was answered as a plain call: at once and whole, with its length. */
  readonly plain: boolean;
}

async function overHttp(key: string, sent: Fields, headers: Record<string, string> = {}): Promise<Plain> {
  const { name } = sent['params'] as { name: string };
  const standard = { 'mcp-protocol-version': REVISION, 'mcp-method': 'tools/call', 'mcp-name': name };
  const answer: Answer = await ask(
    { port: rig.port },
    {
      method: 'POST',
      path: '/mcp',
      body: JSON.stringify(sent),
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${key}`,
        ...standard,
        ...headers,
      },
    },
  );
  const length = answer.headers['content-length'];
  return {
    ...(JSON.parse(answer.text) as object),
    status: answer.status,
    plain: answer.status === 200 && length !== undefined,
  };
}

describe('over HTTP', () => {
  test('a plain call is answered as the SDK answers it', async () => {
    const { key } = await issue(rig, 'http-same');
    for (const [tool, input] of CALLS) {
      const plain = await overHttp(key, message(tool, input, { meta: ENVELOPE }));
      const other = await overHttp(key, message(tool, input, { meta: { ...ENVELOPE, ...TRACE } }));
      expect([plain.plain, other.plain], tool).toEqual([tool !== 'no_such_tool' && tool !== 'key_issue', false]);
      expect(comparable({ ...plain, plain: 0 }), tool).toEqual(comparable({ ...other, plain: 0 }));
    }
  });

  test('headers that say something else are for the SDK to refuse', async () => {
    const { key } = await issue(rig, 'http-headers');
    const sent = message('seed_status', {}, { meta: ENVELOPE });
    expect(await overHttp(key, sent)).toMatchObject({ status: 200, plain: true });
    for (const header of ['mcp-protocol-version', 'mcp-method', 'mcp-name']) {
      expect(await overHttp(key, sent, { [header]: 'other' }), header).toMatchObject({ status: 400, plain: false });
    }
  });

  test('[LOCK-MEMBRANE-2] a removed key’s next plain call is refused, and so is what it had under way', async () => {
    const [gone, stays] = [await issue(rig, 'http-gone'), await issue(rig, 'http-stays')];
    const call = (key: string): Promise<Plain> => overHttp(key, message('receipt_get', { seq: 0 }, { meta: ENVELOPE }));
    expect([outcome(await call(gone.key)), outcome(await call(stays.key))]).toEqual(['ok', 'ok']);
    const running = Array.from({ length: 8 }, async () => {
      for (let last = 'ok'; last === 'ok'; ) {
        last = await call(gone.key).then(outcome, () => 'cut');
        if (last !== 'ok') return last;
      }
      return 'ok';
    });
    await asOwner(rig, 'key_revoke', { key: gone.name });
    expect(outcome(await call(gone.key))).toBe('key_revoked');
    for (const end of await Promise.all(running)) expect(['key_revoked', 'cut']).toContain(end);
    expect(outcome(await call(stays.key))).toBe('ok');
  });

  test('a halted seed refuses plain calls, and serves them when it is resumed', async () => {
    const { key } = await issue(rig, 'http-halt');
    const call = async (): Promise<string> =>
      outcome(await overHttp(key, message('seed_status', {}, { meta: ENVELOPE })));
    expect(await call()).toBe('ok');
    await askOwner(rig, 'seed_halt', {});
    expect(await call()).toBe('halted');
    await askOwner(rig, 'seed_resume', {});
    expect(await call()).toBe('ok');
  });
});
