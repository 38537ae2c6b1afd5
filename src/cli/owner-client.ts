/** Speaks to a running daemon at the owner's door. */
import { createInterface } from 'node:readline';
import type { OwnerLine } from '../doors/owner.ts';
import type { ErrorCode, ErrorData } from '../errors.ts';
import { ERROR_CODES, SeedError } from '../errors.ts';

// Taken without the module's ESM face, which costs every command 10 ms; see doors/node-http.ts.
const { request } = process.getBuiltinModule('node:http');

export interface OwnerCall {
  readonly tool: string;
  readonly input: unknown;
  readonly passphrase?: string | undefined;
}

type OnProgress = (done: number, total: number, what: string) => void;

/** Codes of a connection that nobody answers: no socket, or one left by a killed daemon. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED']);

/**
 * @throws SeedError `daemon_absent` when nobody listens, `daemon_failed` when the answer is cut
 *   off, and whatever the daemon answers
 */
export function callOwnerDoor(socketPath: string, body: OwnerCall, onProgress: OnProgress): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath, path: '/call', method: 'POST', headers: { 'content-type': 'application/json' } },
      (response) => {
        let settled = false;
        const lines = createInterface({ input: response });
        lines.on('line', (text) => {
          const line = JSON.parse(text) as OwnerLine;
          if ('progress' in line) {
            onProgress(line.progress.done, line.progress.total, line.progress.what);
            return;
          }
          settled = true;
          if ('result' in line) resolve(line.result);
          else reject(fromWire(line.error));
        });
        lines.on('close', () => {
          if (!settled) reject(cutOff());
        });
        response.on('error', () => reject(cutOff()));
      },
    );
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      if (NOBODY.has(error.code ?? '')) reject(absent());
      else if (error.code === 'EACCES' || error.code === 'EPERM') reject(notYours(socketPath, error));
      else reject(cutOff(error));
    });
    outgoing.end(JSON.stringify(body));
  });
}

function fromWire({
  code,
  message,
  hint,
  data,
}: {
  code: string;
  message: string;
  hint: string;
  data: object;
}): SeedError {
  const known = (code in ERROR_CODES ? code : 'internal') as ErrorCode;
  return new SeedError(known, message, { hint, data: data as ErrorData });
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
