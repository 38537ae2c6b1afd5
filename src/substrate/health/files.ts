/** The files of a home: there, of this seed, readable for the program, and closed to everybody else. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { RootChain } from '../../formats/root.ts';
import type { HomeEntryName } from '../home/layout.ts';
import { HOME_ENTRIES, homePath } from '../home/layout.ts';
import { assertLockFile } from '../home/lock.ts';
import { readSettings } from '../home/settings.ts';
import { isEncryptedKey, KEY_NAMES, keyMode, keyPath, loadKey, passphrasePath } from '../identity/keys.ts';
import { loadPassphrase } from '../identity/passphrase.ts';
import { fastSha256 } from '../receipts/sha256.ts';
import type { SqliteDriver } from '../store/connection.ts';
import { loadNamedKey } from '../trust.ts';
import type { Finding } from './finding.ts';
import { bad, good, warning } from './finding.ts';

/** What a start needs; the rest is made where it is missing. */
const NEEDED = ['database', 'keys', 'root', 'owner'] as const;
const NAMES = Object.keys(HOME_ENTRIES) as HomeEntryName[];

/** The files of the home, and who else on the box could read them. */
export function checkHome(home: string): Finding {
  const missing = NEEDED.filter((name) => !existsSync(homePath(home, name)));
  if (missing.length > 0) {
    return bad('home', `${pathsOf(missing)} missing in ${home}.`, 'Restore the home from a backup.');
  }
  const foreign = NAMES.filter((name) => isOtherKind(home, name));
  if (foreign.length > 0) {
    return bad(
      'home',
      `A folder where a file belongs, or the reverse: ${pathsOf(foreign)} in ${home}.`,
      'Move it away, and restore it from a backup unless it is a log, a lock or a socket, which a start makes.',
    );
  }
  const folders = [home, ...(['keys', 'owner', 'credentials'] as const).map((name) => homePath(home, name))];
  const open = folders.filter((path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0);
  if (open.length === 0) return good('home', `${home} is complete and closed to others.`);
  return bad('home', 'Other users of this machine can look into private folders.', `chmod 700 ${open.join(' ')}`);
}

function pathsOf(names: readonly HomeEntryName[]): string {
  return names.map((name) => HOME_ENTRIES[name].path).join(', ');
}

function isOtherKind(home: string, name: HomeEntryName): boolean {
  const path = homePath(home, name);
  return existsSync(path) && statSync(path).isDirectory() !== (HOME_ENTRIES[name].kind === 'folder');
}

/** The home's configuration: it parses, and is this seed's. */
export function checkSettings(home: string, chain: RootChain | null): Finding {
  const { seed, port } = readSettings(home);
  const path = HOME_ENTRIES.settings.path;
  if (chain !== null && seed !== chain.seed) {
    return bad('settings', `${path} is of another seed.`, 'Restore it and the folder root from the same backup.');
  }
  return good('settings', `${path} parses; the HTTP door’s port is ${port}.`);
}

/** The lock: a file that can be locked, whether or not somebody holds it. */
export function checkLock(home: string, driver: SqliteDriver): Finding {
  assertLockFile(home, driver);
  return good('lock', 'The home can be locked by one process at a time.');
}

/** The private keys: there, those that the root of trust names, and readable for the owner alone. */
export function checkKeys(home: string, chain: RootChain | null): Finding {
  const folder = homePath(home, 'keys');
  const modes = KEY_NAMES.map((name) => ({ name, mode: keyMode(folder, name) }));
  const gone = modes.filter(({ name, mode }) => mode === null && name !== 'root-next');
  if (gone.length > 0) {
    const names = gone.map(({ name }) => name).join(', ');
    return bad('keys', `Missing: ${names}.`, 'Restore the folder keys from a backup.');
  }
  if (modes.some(({ mode }) => mode !== null && (mode & 0o077) !== 0)) {
    return bad('keys', 'Other users of this machine can read private keys.', `chmod 600 ${folder}/*`);
  }
  if (chain === null)
    return warning('keys', 'Private keys are readable for you alone.', 'Mend the root of trust first.');
  for (const name of ['log', 'issuer'] as const) loadNamedKey(home, name, chain);
  const stray = (['root', 'root-next'] as const).filter((name) => !isNamedRootKey(folder, name, chain));
  if (stray.length === 0)
    return good('keys', 'Private keys are those of the root of trust, and readable for you alone.');
  return bad(
    'keys',
    `Not the key that the root of trust names: ${stray.join(', ')}.`,
    'Restore the folders keys and root from the same backup.',
  );
}

/** Whether a root key is the one that is named; of one that is encrypted, or elsewhere, nothing can be said. */
function isNamedRootKey(folder: string, name: 'root' | 'root-next', { current }: RootChain): boolean {
  if (keyMode(folder, name) === null || isEncryptedKey(readFileSync(keyPath(folder, name), 'utf8'))) return true;
  const { publicKey } = loadKey(folder, name);
  const { keys, next_root: next } = current.signed;
  if (name === 'root-next') return next === null || Buffer.from(fastSha256(publicKey)).toString('hex') === next;
  return keys.root.some((key) => key.public === Buffer.from(publicKey).toString('base64'));
}

/** Whether the owner can be told from another program with the owner's user id. */
export function checkPassphrase(home: string): Finding {
  if (loadPassphrase(passphrasePath(home)).required)
    return good('passphrase', 'Owner acts ask for the owner passphrase.');
  return warning(
    'passphrase',
    'No owner passphrase: every program that runs as you can act as the owner, agents with a shell included.',
    'A passphrase is chosen when a home is made (`seed init --passphrase`). Without one, run agents under another user.',
  );
}
