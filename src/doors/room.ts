/** How much of clients' requests the door holds in memory at once: of one key, and of all together. */
import { SeedError } from '../errors.ts';

export interface RoomOptions {
  readonly bytesMax: number;
  readonly bytesPerKeyMax: number;
}

/** What one request holds. */
export interface Hold {
  /** @throws SeedError `too_many` where it is this key's share that is full, `busy` where it is the whole */
  readonly take: (bytes: number) => void;
  /** Gives back all of it; what is taken after that is not counted. */
  readonly release: () => void;
}

/** Counts bytes as they arrive: what a request says it will have, and keeps back, takes nothing from anybody. */
export class SharedRoom {
  readonly #options: RoomOptions;
  readonly #byKey = new Map<string, number>();
  #taken = 0;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** Bytes that are held. */
  get taken(): number {
    return this.#taken;
  }

  hold(key: string): Hold {
    let held = 0;
    let isOver = false;
    return {
      take: (bytes) => {
        if (isOver) return;
        const { bytesMax, bytesPerKeyMax } = this.#options;
        if ((this.#byKey.get(key) ?? 0) + bytes > bytesPerKeyMax) throw keyIsFull();
        if (this.#taken + bytes > bytesMax) throw allIsFull();
        held += bytes;
        this.#add(key, bytes);
      },
      release: () => {
        if (isOver) return;
        isOver = true;
        this.#add(key, -held);
      },
    };
  }

  #add(key: string, bytes: number): void {
    this.#taken += bytes;
    const left = (this.#byKey.get(key) ?? 0) + bytes;
    if (left === 0) this.#byKey.delete(key);
    else this.#byKey.set(key, left);
  }
}

function keyIsFull(): SeedError {
  return new SeedError('too_many', 'Too much is being sent at once under this key; nothing was done.', {
    hint: 'Wait for some requests to be answered, or send smaller ones.',
  });
}

function allIsFull(): SeedError {
  return new SeedError('busy', 'Too much is being asked at this moment; nothing was done.', {
    hint: 'Try again in a few seconds.',
  });
}
