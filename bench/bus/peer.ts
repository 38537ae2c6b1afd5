/** What each bus is asked to do in the same run. */
import { existsSync } from 'node:fs';
import path from 'node:path';

/** What came at once, and how to say that it is done. */
export interface Batch {
  readonly texts: readonly string[];
  readonly done: () => Promise<void>;
}

export interface Receiver {
  /** Waits for the next messages, some seconds at most. */
  readonly next: () => Promise<Batch>;
  readonly close: () => void;
}

/** A bus that runs. */
export interface Peer extends AsyncDisposable {
  readonly name: string;
  /** Resolves when the message is durable. */
  readonly publish: (text: string, worker: number) => Promise<void>;
  readonly receiver: () => Promise<Receiver>;
  /** Takes out what was published, outside of what is measured, where there is room for so much only. */
  readonly drain?: () => Promise<void>;
}

/** A program on the PATH, or in one of the folders given. */
export function findProgram(name: string, folders: readonly string[] = []): string | null {
  const search = [...(process.env['PATH'] ?? '').split(path.delimiter), ...folders];
  return search.map((folder) => path.join(folder, name)).find((file) => existsSync(file)) ?? null;
}
