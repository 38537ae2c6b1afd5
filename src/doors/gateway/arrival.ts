/** What a client's request may have of size, and of time to arrive. */
import type { IncomingHttpHeaders } from 'node:http';
import { SeedError } from '../../errors.ts';
import * as limits from '../limits.ts';

/** Looks at how large a body says that it is, before any of it is read. @throws SeedError `too_large` */
export function assertLengthFits({ 'content-length': said }: IncomingHttpHeaders): void {
  if (said === undefined || Number(said) <= limits.GATEWAY_BODY_BYTES_MAX) return;
  throw new SeedError('too_large', `The request is larger than ${limits.GATEWAY_BODY_BYTES_MAX} bytes.`, {
    hint: 'Send less at once.',
  });
}

/** What `arriving` gives, unless it takes longer than `msMax`. @throws SeedError `too_slow` */
export async function inTime<T>(arriving: Promise<T>, msMax: number): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => {
    reject(
      new SeedError('too_slow', `The request did not arrive within ${msMax / 1_000} seconds.`, {
        hint: 'Send it again, faster or smaller.',
      }),
    );
  }, msMax);
  // How it ends after its time is of no interest: the connection is closed with the answer.
  arriving.then(resolve, reject);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
