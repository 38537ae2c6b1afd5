import { describe, expect, test, vi } from 'vitest';
import type { Connection } from '../../src/membrane/incoming.ts';
import { Incoming, RESPONSE_BYTES_MAX } from '../../src/membrane/incoming.ts';

/** A connection that notes what is asked of it. */
class Noted implements Connection {
  paused = false;
  aborted = false;

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  abort(): void {
    this.aborted = true;
  }
}

interface Wire {
  readonly incoming: Incoming;
  readonly connection: Noted;
  readonly onOver: ReturnType<typeof vi.fn<() => void>>;
}

function connected(): Wire {
  const onOver = vi.fn<() => void>();
  const incoming = new Incoming(onOver);
  const connection = new Noted();
  incoming.onRequestStart(connection);
  return { incoming, connection, onOver };
}

/** With the head of an answer that has a body. */
function begun(): Wire {
  const wire = connected();
  wire.incoming.onResponseStart(wire.connection, 200, { 'content-type': 'text/plain' });
  return wire;
}

function piece(bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(7);
}

const ended = { done: true, value: undefined };

describe('pieces', () => {
  test('come in their order, whether waited for or waiting, and the end is told once', async () => {
    const { incoming, connection, onOver } = begun();
    const waiting = incoming.next();
    incoming.onResponseData(connection, piece(1));
    incoming.onResponseData(connection, piece(2));
    incoming.onResponseData(connection, piece(3));
    incoming.onResponseEnd();
    expect((await waiting).value).toHaveLength(1);
    expect((await incoming.next()).value).toHaveLength(2);
    expect(onOver).not.toHaveBeenCalled();
    expect((await incoming.next()).value).toHaveLength(3);
    expect(await incoming.next()).toEqual(ended);
    expect(await incoming.next()).toEqual(ended);
    expect(onOver).toHaveBeenCalledTimes(1);
    expect(connection.aborted).toBe(false);
  });

  test('a sender that is faster than its reader waits, and goes on when all was read', async () => {
    const { incoming, connection } = begun();
    incoming.onResponseData(connection, piece(64 * 1_024));
    expect(connection.paused).toBe(false);
    incoming.onResponseData(connection, piece(1));
    expect(connection.paused).toBe(true);
    await incoming.next();
    expect(connection.paused).toBe(true);
    await incoming.next();
    expect(connection.paused).toBe(false);
  });

  test('are for one reader: a second one is told so, and the first gets its piece', async () => {
    const { incoming, connection } = begun();
    const first = incoming.next();
    await expect(incoming.next()).rejects.toThrow('one reader');
    incoming.onResponseData(connection, piece(1));
    expect((await first).value).toHaveLength(1);
  });

  test('that came before the connection broke are read before it is told', async () => {
    const { incoming, connection, onOver } = begun();
    incoming.onResponseData(connection, piece(1));
    const why = new Error('reset');
    incoming.onResponseError(connection, why);
    expect(onOver).toHaveBeenCalledTimes(1);
    expect((await incoming.next()).value).toHaveLength(1);
    await expect(incoming.next()).rejects.toMatchObject({ name: 'TypeError', message: 'terminated', cause: why });
  });

  test('more of them than an answer may have are an error, one less is none', () => {
    const { incoming, connection } = begun();
    incoming.onResponseData(connection, piece(RESPONSE_BYTES_MAX));
    expect(() => incoming.onResponseData(connection, piece(1))).toThrow('more than');
  });
});

describe('an end from our side', () => {
  test('an abort is told to who waits for the head, and to who reads; what was not read is dropped', async () => {
    const reason = new Error('changed my mind');
    const early = connected();
    early.incoming.abort(reason);
    await expect(early.incoming.answer).rejects.toBe(reason);
    const late = begun();
    late.incoming.onResponseData(late.connection, piece(1));
    late.incoming.abort(reason);
    await expect(late.incoming.next()).rejects.toBe(reason);
    for (const { connection, onOver } of [early, late]) {
      expect(connection.aborted).toBe(true);
      expect(onOver).toHaveBeenCalledTimes(1);
    }
  });

  test('given up while it waited for a connection, it lets go of that one at once', async () => {
    const incoming = new Incoming(() => {});
    const reason = new Error('changed my mind');
    incoming.abort(reason);
    await expect(incoming.answer).rejects.toBe(reason);
    const connection = new Noted();
    incoming.onRequestStart(connection);
    expect(connection.aborted).toBe(true);
  });

  test('whoever stops reading ends the connection, unless all had come', async () => {
    const cut = begun();
    cut.incoming.onResponseData(cut.connection, piece(1));
    const whole = begun();
    whole.incoming.onResponseData(whole.connection, piece(1));
    whole.incoming.onResponseEnd();
    for (const { incoming } of [cut, whole]) expect(await incoming.return()).toEqual(ended);
    expect([cut.connection.aborted, whole.connection.aborted]).toEqual([true, false]);
    for (const { incoming, onOver } of [cut, whole]) {
      expect(await incoming.next()).toEqual(ended);
      expect(onOver).toHaveBeenCalledTimes(1);
    }
  });

  test('after the end nothing changes any more', async () => {
    const { incoming, connection, onOver } = begun();
    incoming.onResponseEnd();
    expect(await incoming.next()).toEqual(ended);
    incoming.abort(new Error('too late'));
    incoming.onResponseError(connection, new Error('too late'));
    expect(await incoming.next()).toEqual(ended);
    expect(connection.aborted).toBe(false);
    expect(onOver).toHaveBeenCalledTimes(1);
  });
});

describe('heads', () => {
  test('an interim one is none; the one that follows is', async () => {
    const { incoming, connection } = connected();
    incoming.onResponseStart(connection, 103, { link: '</style.css>' });
    incoming.onResponseStart(connection, 404, { 'set-cookie': ['one=1', 'two=2'], 'x-one': '1' });
    const { status, headers, body } = await incoming.answer;
    expect([headers.get('set-cookie'), headers.get('x-one'), headers.get('x-two')]).toEqual([
      'one=1, two=2',
      '1',
      null,
    ]);
    expect([status, [...headers]]).toEqual([
      404,
      [
        ['set-cookie', 'one=1'],
        ['set-cookie', 'two=2'],
        ['x-one', '1'],
      ],
    ]);
    expect(body).toBe(incoming);
  });

  test('of an answer without a body: it is over when it ends, with nobody reading', async () => {
    const { incoming, connection, onOver } = connected();
    incoming.onResponseStart(connection, 204, {});
    expect((await incoming.answer).body).toBeNull();
    expect(onOver).not.toHaveBeenCalled();
    incoming.onResponseEnd();
    expect(onOver).toHaveBeenCalledTimes(1);
  });
});
