/** What requests may take of memory and of time before anybody has answered them. */
import { expect, test } from 'vitest';
import { bodyBytesMax, inTime, Room } from '../../../src/doors/gateway/room.ts';
import * as limits from '../../../src/doors/limits.ts';

test('room is taken up to the limit, and given back once', () => {
  const room = new Room(100);
  const first = room.take(60);
  expect(() => room.take(41)).toThrow('at this moment');
  const second = room.take(40);
  first();
  first();
  expect(room.taken).toBe(40);
  second();
  expect(room.taken).toBe(0);
});

test('a body says how large it is, or may have little', () => {
  expect(bodyBytesMax({ 'content-length': '12' })).toBe(12);
  expect(bodyBytesMax({})).toBe(limits.HTTP_BODY_BYTES_MAX);
  expect(() => bodyBytesMax({ 'content-length': String(limits.GATEWAY_BODY_BYTES_MAX + 1) })).toThrow('larger');
});

test('what does not arrive in time is told so, and what does is given', async () => {
  const never = new Promise<string>(() => {});
  await expect(inTime(never, 5)).rejects.toMatchObject({ code: 'too_slow' });
  await expect(inTime(Promise.resolve('here'), 5_000)).resolves.toBe('here');
  await expect(inTime(Promise.reject(new Error('cut')), 5_000)).rejects.toThrow('cut');
  // Told before the HTTP server gives up by itself, which has no terms of any API.
  expect(limits.GATEWAY_BODY_MS_MAX).toBeLessThan(limits.REQUEST_ARRIVE_MS_MAX);
});
