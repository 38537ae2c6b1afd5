/** Speaks to a running daemon at the owner's door. */
import { createInterface } from 'node:readline';
import type { OwnerLine } from '../doors/owner.ts';
import { fromWire, SeedError } from '../errors.ts';

// Taken without the module's ESM face, which costs every command 10 ms; see doors/node-http.ts.
const { request } = process.getBuiltinModule('node:http');

export interface OwnerCall {
  readonly tool: string;
  readonly input: unknown;
  readonly passphrase?: string | undefined;
}

export type OnProgress = (done: number, total: number, what: string) => void;

/** Codes of a connection that nobody answers: no socket or no folder, or one left by a killed daemon. */
const NOBODY = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED']);

/** For commands that look at or end a daemon which may hang. */
export const SHORT_WAIT_MS = 5_000;
/** A daemon takes a call at once, unless it is very busy. */
const WAIT_MS = 60_000;

export interface OwnerCallOptions {
  /** How long the daemon has to take the call; the answer itself may take longer. */
  readonly waitMs?: number;
  /** The home it serves, which says whose silence it is. */
  readonly home?: string;
}

/**
 * @throws SeedError `daemon_absent` when nobody listens, `daemon_failed` when nobody takes the call
 *   in time or the answer is cut off, and whatever the daemon answers
 */
export function callOwnerDoor(
  socketPath: string,
  body: OwnerCall,
  onProgress: OnProgress,
  { waitMs = WAIT_MS, home }: OwnerCallOptions = {},
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath, path: '/call', method: 'POST', headers: { 'content-type': 'application/json' } },
      (response) => {
        clearTimeout(timer);
        let settled = false;
        const lines = createInterface({ input: response });
        lines.on('line', (text) => {
          const line = parseLine(text);
          if (line === null) {
            settled = true;
            reject(notAnAnswer());
            outgoing.destroy();
          } else if ('progress' in line) onProgress(line.progress.done, line.progress.total, line.progress.what);
          else {
            settled = true;
            if ('result' in line) resolve(line.result);
            else reject(fromWire(line.error));
          }
        });
        lines.on('close', () => {
          if (!settled) reject(cutOff());
        });
        // What breaks the response comes out here.
        lines.on('error', () => reject(cutOff()));
      },
    );
    const timer = setTimeout(() => {
      silent(waitMs, home)
        .then(reject, reject)
        .finally(() => outgoing.destroy());
    }, waitMs);
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (NOBODY.has(error.code ?? '')) reject(absent());
      else if (error.code === 'EACCES' || error.code === 'EPERM') reject(notYours(socketPath, error));
      else reject(cutOff(error));
    });
    outgoing.end(JSON.stringify(body));
  });
}

/** One line of an answer; null for anything else. */
function parseLine(text: string): OwnerLine | null {
  try {
    const line = JSON.parse(text) as OwnerLine | null;
    if (typeof line !== 'object' || line === null) return null;
    if ('progress' in line)
      return typeof line.progress === 'object' && (line.progress as unknown) !== null ? line : null;
    return 'result' in line || 'error' in line ? line : null;
  } catch {
    return null;
  }
}

async function silent(waitMs: number, home: string | undefined): Promise<SeedError> {
  const { readHolder } = await import('../substrate/home/lock.ts');
  const pid = home === undefined ? null : (readHolder(home)?.pid ?? null);
  return new SeedError('daemon_failed', `The daemon has not taken the call within ${waitMs / 1_000} s.`, {
    hint: `It${pid === null ? '' : ` (pid ${pid})`} may be stopped or very busy; \`seed down\` ends it by a signal.`,
    data: pid === null ? {} : { pid },
  });
}

function notAnAnswer(): SeedError {
  return new SeedError('daemon_failed', 'What answers at the owner’s door does not speak this seed’s language.', {
    hint: 'Use the `seed` command of the same version; `seed doctor` examines the home.',
  });
}

function absent(): SeedError {
  return new SeedError('daemon_absent', 'No daemon serves this home.', { hint: 'Start it with `seed up`.' });
}

function notYours(socketPath: string, cause: unknown): SeedError {
  return new SeedError('forbidden', `You may not use the owner’s door ${socketPath}.`, {
    hint: 'Run the command as the user whose home it is.',
    cause,
  });
}

function cutOff(cause?: unknown): SeedError {
  return new SeedError('daemon_failed', 'The daemon went away before it answered.', {
    hint: 'Look at `seed status` and the log; whether the call was carried out stands in `seed receipts list`.',
    cause,
  });
}
