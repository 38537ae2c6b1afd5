/** What requests may take of size and of time before anybody has answered them. */
import { expect, test } from 'vitest';
import { assertLengthFits, inTime } from '../../../src/doors/gateway/arrival.ts';
import * as limits from '../../../src/doors/limits.ts';

test('a body that says that it is too large is not read', () => {
  assertLengthFits({});
  assertLengthFits({ 'content-length': String(limits.GATEWAY_BODY_BYTES_MAX) });
  expect(() => assertLengthFits({ 'content-length': String(limits.GATEWAY_BODY_BYTES_MAX + 1) })).toThrow('larger');
});

test('what does not arrive in time is told so, and what does is given', async () => {
  const never = new Promise<string>(() => {});
  await expect(inTime(never, 5)).rejects.toMatchObject({ code: 'too_slow' });
  await expect(inTime(Promise.resolve('here'), 5_000)).resolves.toBe('here');
  await expect(inTime(Promise.reject(new Error('cut')), 5_000)).rejects.toThrow('cut');
  // Told before the HTTP server gives up by itself, which has no terms of any API.
  expect(limits.GATEWAY_BODY_MS_MAX).toBeLessThan(limits.REQUEST_ARRIVE_MS_MAX);
});
