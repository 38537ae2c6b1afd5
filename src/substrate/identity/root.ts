/**
 * The root of trust on disk: `root/1.json` and its successors.
 *
 * Whatever a key may do is looked up here, through the chain, so that a later version can name
 * other keys and the old ones can do nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SeedError } from '../../errors.ts';
import type { RootChain } from '../../formats/root.ts';
import { buildRoot, rootKey, verifyRootChain } from '../../formats/root.ts';
import { createFileDurably } from '../home/files.ts';
import { fastSha256 } from '../receipts/sha256.ts';
import type { Sources } from '../sources.ts';
import { isoTime } from '../sources.ts';
import type { KeyName } from './keys.ts';
import { createKey } from './keys.ts';
import { fastVerify } from './verify.ts';

const VERSION_FILE = /^([1-9]\d{0,3})\.json$/;

export interface StoredRoot {
  readonly chain: RootChain;
  /** The exact file texts, oldest first. */
  readonly files: readonly string[];
}

/** The texts of `1.json`, `2.json`, … in a folder, oldest first. */
function readRootFiles(folder: string): string[] {
  const versions = readdirSync(folder)
    .flatMap((name) => VERSION_FILE.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  return versions.map((version) => readFileSync(join(folder, `${version}.json`), 'utf8'));
}

/** @throws SeedError `home_damaged` when a file is missing, unreadable or not part of one chain */
export function loadRoot(folder: string): StoredRoot {
  try {
    const files = readRootFiles(folder);
    return { files, chain: verifyRootChain(files, { sha: fastSha256, verify: fastVerify }) };
  } catch (cause) {
    throw new SeedError('home_damaged', `The root of trust in ${folder} does not verify: ${(cause as Error).message}`, {
      hint: 'Restore the folder from a backup of the home; everyone who pinned the root has a copy of it too.',
      cause,
    });
  }
}

/**
 * Makes the seed's keys and signs the first version of its root of trust.
 *
 * The next root key is made now and only its hash is named: whoever steals the present root key
 * cannot sign a successor that anybody accepts. The two root keys are encrypted when there is an
 * owner passphrase, since the daemon needs neither.
 */
export function createIdentity(
  { keys, root }: { keys: string; root: string },
  { passphrase, sources }: { passphrase: string | null; sources: Sources },
): StoredRoot {
  const make = (name: KeyName, secret: string | null) => createKey(keys, name, secret);
  const rootSigner = make('root', passphrase);
  const next = make('root-next', passphrase);
  const [log, issuer] = [make('log', null), make('issuer', null)];
  const content = {
    created: isoTime(sources.now()),
    expires: null,
    threshold: 1,
    next_root: Buffer.from(fastSha256(next.publicKey)).toString('hex'),
    keys: {
      root: [rootKey(rootSigner.publicKey)],
      log: [rootKey(log.publicKey)],
      issuer: [rootKey(issuer.publicKey)],
    },
  };
  createFileDurably(join(root, '1.json'), buildRoot(content, { signers: [rootSigner], sha: fastSha256 }), 0o644);
  return loadRoot(root);
}
