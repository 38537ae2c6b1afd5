/** How much of clients' requests is held in memory at once, whoever sent them. */
import type { IncomingHttpHeaders } from 'node:http';
import { SeedError } from '../../errors.ts';
import * as limits from '../limits.ts';

export class Room {
  readonly #max: number;
  #taken = 0;

  constructor(bytesMax: number) {
    this.#max = bytesMax;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Takes room for a body; the returned function gives it back, once. @throws SeedError `busy` */
  take(bytes: number): () => void {
    if (this.#taken + bytes > this.#max) {
      throw new SeedError('busy', 'Too much is being asked at this moment; nothing was done.', {
        hint: 'Try again in a few seconds.',
      });
    }
    this.#taken += bytes;
    let isHeld = true;
    return () => {
      if (isHeld) this.#taken -= bytes;
      isHeld = false;
    };
  }
}

/** What a body may have: little where it does not say beforehand. @throws SeedError `too_large` */
export function bodyBytesMax({ 'content-length': said }: IncomingHttpHeaders): number {
  if (said === undefined) return limits.HTTP_BODY_BYTES_MAX;
  const bytes = Number(said);
  if (bytes <= limits.GATEWAY_BODY_BYTES_MAX) return bytes;
  throw new SeedError('too_large', `The request is larger than ${limits.GATEWAY_BODY_BYTES_MAX} bytes.`, {
    hint: 'Send less at once.',
  });
}

/** What `arriving` gives, unless it takes longer than `msMax`. @throws SeedError `too_slow` */
export async function inTime<T>(arriving: Promise<T>, msMax: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(
      new SeedError('too_slow', `The request did not arrive within ${msMax / 1_000} seconds.`, {
        hint: 'Send it again, faster or smaller.',
      }),
    );
  }, msMax);
  try {
    return await Promise.race([arriving, promise]);
  } finally {
    clearTimeout(timer);
    // How it ends after that is of no interest: the connection is closed with the answer.
    arriving.catch(() => {});
  }
}
