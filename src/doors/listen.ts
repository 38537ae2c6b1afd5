/** Opens a listening socket, and says where its later errors go. */
import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { SeedError, toSeedError } from '../errors.ts';

/**
 * Listens on a Unix socket that only the owner's user may use. Whatever is there is left over: only
 * the holder of the home's lock may listen here.
 *
 * @throws SeedError `daemon_failed`
 */
export async function listenOnSocket(server: Server, path: string, onError: (error: SeedError) => void): Promise<void> {
  try {
    rmSync(path, { force: true });
    await listen(server, { path }, onError);
    chmodSync(path, 0o600);
  } catch (cause) {
    throw new SeedError('daemon_failed', `The socket ${path} cannot be opened.`, {
      hint: 'Check that the folder is yours and writable, and that nothing else stands there.',
      cause,
    });
  }
}

/**
 * Listens on a port of loopback.
 *
 * @throws SeedError `daemon_failed` when it is taken: whoever has it must not collect keys
 */
export async function listenOnPort(server: Server, port: number, onError: (error: SeedError) => void): Promise<void> {
  try {
    await listen(server, { port, host: '127.0.0.1' }, onError);
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const what = taken ? `Port ${port} is taken by another program` : `Port ${port} cannot be opened`;
    throw new SeedError('daemon_failed', `${what}; the HTTP door stays shut.`, {
      hint: 'Stop that program, or make keys for another port: change "port" in config.json and restart.',
      data: { port },
      cause,
    });
  }
}

function listen(
  server: Server,
  where: { path: string } | { port: number; host: string },
  onError: (error: SeedError) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      // Such as too many open files: one connection is lost, the door stays open.
      server.on('error', (error) => onError(toSeedError(error)));
      resolve();
    });
  });
}
