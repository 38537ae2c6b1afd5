/** Answers over HTTP that wait in memory for a client that does not read them: of one key, and of all together. */
import type { ServerResponse } from 'node:http';

export interface UnreadOptions {
  readonly bytesMax: number;
  readonly bytesPerKeyMax: number;
}

export class UnreadAnswers {
  readonly #options: UnreadOptions;
  /** By key, only those that were not taken at once. */
  readonly #waiting = new Map<string, Set<ServerResponse>>();

  constructor(options: UnreadOptions) {
    this.#options = options;
  }

  /** To be told of each piece of an answer that was written; an answer for which there is no room is cut off. */
  wrote(key: string, response: ServerResponse): void {
    if (response.writableLength === 0 || response.destroyed) return;
    const mine = this.#waiting.get(key) ?? new Set();
    if (!mine.has(response)) this.#keep(key, mine, response);
    const { bytesMax, bytesPerKeyMax } = this.#options;
    if (bytesIn(mine) > bytesPerKeyMax || this.#bytes() > bytesMax) response.destroy();
  }

  #keep(key: string, mine: Set<ServerResponse>, response: ServerResponse): void {
    this.#waiting.set(key, mine.add(response));
    response.once('close', () => {
      mine.delete(response);
      if (mine.size === 0 && this.#waiting.get(key) === mine) this.#waiting.delete(key);
    });
  }

  #bytes(): number {
    let bytes = 0;
    for (const responses of this.#waiting.values()) bytes += bytesIn(responses);
    return bytes;
  }
}

function bytesIn(responses: Iterable<ServerResponse>): number {
  let bytes = 0;
  for (const { writableLength } of responses) bytes += writableLength;
  return bytes;
}
