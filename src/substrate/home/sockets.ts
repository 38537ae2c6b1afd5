/**
 * Where the Unix sockets of a home are.
 *
 * A socket's path must fit `sun_path` (108 bytes on Linux, 104 on macOS, with the final zero;
 * unix(7)). A home whose path is too long keeps its sockets in a short folder of the user's own
 * instead, which is recorded in the home.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeedError } from '../../errors.ts';
import { homePath } from './layout.ts';

const SOCKET_PATH_BYTES_MAX = 103;

export interface SocketPaths {
  readonly owner: string;
  readonly agent: string;
}

function within(home: string): SocketPaths {
  return { owner: homePath(home, 'ownerSocket'), agent: homePath(home, 'agentSocket') };
}

/** The folder to record for a home: null while its own path is short enough. */
export function chooseSocketFolder(home: string, runtimeFolder: string | null): string | null {
  if (longestOf(within(home)) <= SOCKET_PATH_BYTES_MAX) return null;
  const name = `seed-${createHash('sha256').update(home).digest('hex').slice(0, 16)}`;
  const folders = [runtimeFolder, tmpdir(), '/tmp'].flatMap((above) => (above === null ? [] : [join(above, name)]));
  return folders.find((folder) => longestOf(socketPaths(home, folder)) <= SOCKET_PATH_BYTES_MAX) ?? join('/tmp', name);
}

function longestOf({ owner, agent }: SocketPaths): number {
  return Math.max(Buffer.byteLength(owner), Buffer.byteLength(agent));
}

export function socketPaths(home: string, folder: string | null): SocketPaths {
  if (folder === null) return within(home);
  return { owner: join(folder, 'owner.sock'), agent: join(folder, 'agent.sock') };
}

/**
 * Makes sure that a socket folder is there, ours, and closed to others.
 *
 * @throws SeedError `home_unsuitable` when somebody else made it
 */
export function prepareSocketFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  const ours = process.getuid === undefined || stat.uid === process.getuid();
  if (stat.isDirectory() && ours && (stat.mode & 0o077) === 0) return;
  throw new SeedError('home_unsuitable', `The socket folder ${folder} belongs to somebody else or is open to others.`, {
    hint: 'Remove it, or move the home to a shorter path.',
  });
}
