/**
 * The files of a home, each with what it is for and which module owns it.
 *
 * This is the one list: `init` creates from it, `doctor` checks against it, the README's table is
 * generated from it.
 */
import { join } from 'node:path';

interface HomeEntry {
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'socket';
  readonly meaning: string;
  /** The module that writes it, below src/; `planned: …` while there is none. */
  readonly owner: string;
}

const ENTRIES = {
  database: {
    path: 'seed.db',
    kind: 'file',
    meaning: 'Everything the seed knows: receipts, content, state (SQLite, with -wal and -shm beside it while open).',
    owner: 'substrate/store',
  },
  settings: {
    path: 'config.json',
    kind: 'file',
    meaning: 'The home’s configuration; written last, so a home without it was never finished.',
    owner: 'substrate/home/settings',
  },
  keys: {
    path: 'keys',
    kind: 'folder',
    meaning: 'The seed’s private keys (mode 0600) and the verifier of the owner passphrase.',
    owner: 'substrate/identity',
  },
  root: {
    path: 'root',
    kind: 'folder',
    meaning: 'The root of trust, 1.json and its successors; public: pin it where you verify.',
    owner: 'substrate/identity/root',
  },
  credentials: {
    path: 'credentials',
    kind: 'folder',
    meaning: 'Credentials for model targets, one file each (mode 0600): the one origin it goes to, and the secret.',
    owner: 'substrate/home/credentials',
  },
  notifiers: {
    path: 'notifiers.json',
    kind: 'file',
    meaning: 'The commands by which the owner is told of things (mode 0600); there once one is set.',
    owner: 'substrate/home/notifiers',
  },
  log: { path: 'log', kind: 'folder', meaning: 'What the daemon said.', owner: 'substrate/home/log-file' },
  logFile: {
    path: 'log/seed.log',
    kind: 'file',
    meaning: 'The newest lines; older ones stand beside it in seed.log.1 to .4.',
    owner: 'substrate/home/log-file',
  },
  owner: {
    path: 'owner',
    kind: 'folder',
    meaning: 'Holds the owner’s door; whoever can enter it is the owner (mode 0700).',
    owner: 'substrate/home/create',
  },
  ownerSocket: {
    path: 'owner/owner.sock',
    kind: 'socket',
    meaning: 'The owner’s door, while a daemon serves; elsewhere when the home’s path is too long for a socket.',
    owner: 'doors/owner',
  },
  agentSocket: {
    path: 'agent.sock',
    kind: 'socket',
    meaning: 'The local agents’ door, while a daemon serves; elsewhere when the home’s path is too long for a socket.',
    owner: 'doors/agent',
  },
  checkpoint: {
    path: 'checkpoint',
    kind: 'file',
    meaning: 'The newest signed checkpoint, kept outside the database to notice a rollback.',
    owner: 'substrate/receipts/held',
  },
  lock: {
    path: 'lock.db',
    kind: 'file',
    meaning: 'Held by the one process that may write.',
    owner: 'substrate/home/lock',
  },
  holder: {
    path: 'lock.json',
    kind: 'file',
    meaning: 'Who holds the lock; meaningless while nobody does.',
    owner: 'substrate/home/lock',
  },
  unfinished: {
    path: '.unfinished',
    kind: 'file',
    meaning: 'There only while the home is being made.',
    owner: 'substrate/home/create',
  },
} as const satisfies Record<string, HomeEntry>;

export type HomeEntryName = keyof typeof ENTRIES;

export const HOME_ENTRIES: Readonly<Record<HomeEntryName, HomeEntry>> = ENTRIES;

/** The absolute path of an entry of the home in `folder`. */
export function homePath(folder: string, entry: HomeEntryName): string {
  return join(folder, HOME_ENTRIES[entry].path);
}

/** What SQLite puts beside a database, and `replaceFileDurably` beside a file. */
const BESIDE_DATABASE = ['-wal', '-shm', '-journal'];
const BESIDE_FILE = ['.new'];

/** Names that may stand in a home's folder; anything else was not put there by a seed. */
export function isHomeName(name: string): boolean {
  return Object.values(HOME_ENTRIES).some(({ path, kind }) => {
    const beside = path.endsWith('.db') ? BESIDE_DATABASE : kind === 'file' ? BESIDE_FILE : [];
    return name === path || beside.some((ending) => name === `${path}${ending}`);
  });
}
