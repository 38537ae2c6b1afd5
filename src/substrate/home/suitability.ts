/**
 * Whether a folder can be a home at all.
 *
 * SQLite's locks and shared memory do not hold on network file systems (sqlite.org/wal.html,
 * "all processes must be on the same host"), and a folder that a program synchronises would be
 * copied in the middle of a commit and carry the keys elsewhere.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { SeedError } from '../../errors.ts';

const NETWORK_FILE_SYSTEMS =
  /^(?:nfs|nfs4|cifs|smb\d?|smbfs|smb3|9p|afs|afpfs|ceph|coda|glusterfs|lustre|ncpfs|webdav|davfs|fuse\.(?:sshfs|rclone|s3fs|gcsfuse|glusterfs|davfs2?|ceph|juicefs|gvfsd-fuse|goofys))$/;

/** Folder names and marker files of the common synchronisers. */
const SYNCED_NAMES =
  /^(?:Dropbox|OneDrive(?: - .*)?|Google Drive|GoogleDrive|My Drive|iCloud Drive|Mobile Documents|CloudStorage|Nextcloud|ownCloud|Box Sync|pCloud ?Drive|MEGA)$/;
const SYNCED_MARKERS = ['.stfolder', '.dropbox', '.nextcloudsync.log', '.owncloudsync.log'];

/** The nearest folder at or above `path` that exists. */
function existingAncestor(path: string): string {
  let folder = resolve(path);
  while (!existsSync(folder)) folder = dirname(folder);
  return realpathSync(folder);
}

function ancestors(path: string): string[] {
  const found = [path];
  for (let folder = path; dirname(folder) !== folder; folder = dirname(folder)) found.push(dirname(folder));
  return found;
}

interface Mount {
  readonly folder: string;
  readonly type: string;
}

/** Octal escapes of spaces and the like in mountinfo (proc_pid_mountinfo(5)). */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Parses Linux's /proc/self/mountinfo. */
export function parseMountInfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    const folder = before?.split(' ')[4];
    const type = after?.split(' ')[0];
    return folder === undefined || type === undefined ? [] : [{ folder: unescapeMount(folder), type }];
  });
}

/** Parses macOS's `mount`: `server:/x on /Volumes/x (nfs, nodev)`. */
export function parseMountList(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const match = / on (.+) \((\w+)/.exec(line);
    return match === null ? [] : [{ folder: match[1] ?? '', type: match[2] ?? '' }];
  });
}

function readMounts(): Mount[] {
  try {
    if (process.platform === 'linux') return parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
    if (process.platform === 'darwin')
      return parseMountList(execFileSync('/sbin/mount', { encoding: 'utf8', timeout: 2_000 }));
  } catch {
    // Without a mount table the type is unknown, which is no reason to refuse a local disk.
  }
  return [];
}

/** Why `home` cannot be a home, in words, or null when it can. */
export function unsuitability(home: string, mounts: readonly Mount[] = readMounts()): string | null {
  const folder = existingAncestor(home);
  const above = ancestors(folder);
  const mount = mounts
    .filter((candidate) => above.includes(candidate.folder))
    .reduce<Mount | null>(
      (deepest, next) => (deepest === null || next.folder.length >= deepest.folder.length ? next : deepest),
      null,
    );
  if (mount !== null && NETWORK_FILE_SYSTEMS.test(mount.type)) {
    return `${home} lies on a network file system (${mount.type}), where database locks do not hold.`;
  }
  const named = [...ancestors(resolve(home)), ...above].find((path) =>
    SYNCED_NAMES.test(path.slice(path.lastIndexOf('/') + 1)),
  );
  const marked = above.find((path) => SYNCED_MARKERS.some((marker) => existsSync(join(path, marker))));
  const synced = named ?? marked;
  return synced === undefined ? null : `${home} lies in a folder that another program synchronises (${synced}).`;
}

/** @throws SeedError `home_unsuitable` */
export function assertSuitable(home: string): void {
  const problem = unsuitability(home);
  if (problem === null) return;
  throw new SeedError('home_unsuitable', problem, {
    hint: 'Choose a folder on a local disk with --home DIR or SEED_HOME, and back it up instead of syncing it.',
  });
}
