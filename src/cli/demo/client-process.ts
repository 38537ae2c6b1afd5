/** A client of a demonstration, seen from the process that starts and kills it. */
import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SeedError } from '../../errors.ts';
import type { ClientEvent, Job } from './client.ts';

/** Compiled or not, as this file is. */
const PROGRAM = fileURLToPath(new URL(`client${extname(import.meta.url)}`, import.meta.url));

export interface ClientProcess {
  readonly pid: number;
  /** What it tells, as it tells it; ends with the process. */
  readonly events: AsyncIterable<ClientEvent>;
  /** SIGKILL; resolves when it is gone. The pipe to the seed that it had started goes by itself. */
  readonly kill: () => Promise<void>;
  /** Ends both at once, so that it can be the last thing a process does. */
  readonly strike: () => void;
}

/** @throws SeedError `daemon_failed` from the events, where the client says that it failed */
export function startClient(job: Job): ClientProcess {
  const child = spawn(process.execPath, [PROGRAM], { stdio: ['pipe', 'pipe', 'ignore'] });
  const gone = new Promise((resolve) => child.once('close', resolve));
  let pipe: number | null = null;
  // It may be gone before it has read.
  child.stdin.on('error', () => {});
  child.stdin.write(`${JSON.stringify(job)}\n`);
  const lines = createInterface({ input: child.stdout });
  async function* events(): AsyncGenerator<ClientEvent> {
    for await (const line of lines) {
      const event = JSON.parse(line) as ClientEvent;
      if (event.event === 'connected') ({ pipe } = event);
      if (event.event === 'failed') throw failed(event.message);
      yield event;
    }
  }
  const strike = (): void => {
    child.kill('SIGKILL');
    if (pipe === null) return;
    try {
      process.kill(pipe, 'SIGKILL');
    } catch {
      // It has gone by itself.
    }
  };
  return {
    pid: child.pid ?? 0,
    events: events(),
    kill: async () => {
      child.kill('SIGKILL');
      child.stdin.destroy();
      await gone;
      // Its number may be somebody else's from now on.
      pipe = null;
    },
    strike,
  };
}

function failed(message: string): SeedError {
  return new SeedError('daemon_failed', `The demonstration’s client failed: ${message}`, {
    hint: 'Please report it, with what --json prints.',
  });
}
