/**
 * The seed's own private keys: one Ed25519 key for one job, each in a file only its owner can read.
 *
 * `root` signs the root of trust, `root-next` is the one it commits to for the next version,
 * `log` signs checkpoints, `issuer` signs access keys.
 */
import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SeedError } from '../../errors.ts';
import type { Signer } from '../../formats/checkpoint.ts';
import { createFileDurably } from '../home/files.ts';
import { homePath } from '../home/layout.ts';

export const KEY_NAMES = ['root', 'root-next', 'log', 'issuer'] as const;
export type KeyName = (typeof KEY_NAMES)[number];

export function keyPath(folder: string, name: KeyName): string {
  return join(folder, `${name}.pem`);
}

/** The file of the passphrase verifier, beside the keys that the passphrase guards. */
export function passphrasePath(home: string): string {
  return join(homePath(home, 'keys'), 'passphrase.json');
}

/** The raw 32 bytes of a public key; a JWK carries them as `x` (RFC 8037 §2). */
export function rawPublicKey(key: KeyObject): Uint8Array {
  return new Uint8Array(Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url'));
}

function toSigner(privateKey: KeyObject): Signer {
  return { publicKey: rawPublicKey(createPublicKey(privateKey)), sign: (message) => sign(null, message, privateKey) };
}

/**
 * Creates a key and its file (PKCS #8, PEM, mode 0600), fsynced; never overwrites one.
 *
 * With a passphrase the file is encrypted (AES-256-CBC, PBES2), and only who knows it can sign.
 */
export function createKey(folder: string, name: KeyName, passphrase: string | null): Signer {
  const { privateKey } = generateKeyPairSync('ed25519');
  const protection = passphrase === null ? {} : { cipher: 'aes-256-cbc', passphrase };
  createFileDurably(keyPath(folder, name), privateKey.export({ format: 'pem', type: 'pkcs8', ...protection }), 0o600);
  return toSigner(privateKey);
}

/** @throws SeedError `home_damaged` when the file is missing or is not an Ed25519 key */
export function loadKey(folder: string, name: KeyName, passphrase?: string): Signer {
  const path = keyPath(folder, name);
  try {
    const key = createPrivateKey({
      key: readFileSync(path),
      format: 'pem',
      ...(passphrase === undefined ? {} : { passphrase }),
    });
    if (key.asymmetricKeyType === 'ed25519') return toSigner(key);
  } catch (cause) {
    throw damagedKey(path, cause);
  }
  throw damagedKey(path);
}

function damagedKey(path: string, cause?: unknown): SeedError {
  return new SeedError('home_damaged', `The key file ${path} is missing or cannot be read as an Ed25519 key.`, {
    hint: 'Restore the file from a backup of the home; a seed cannot make it anew.',
    cause,
  });
}

/** Whether a key file's text is one that only the owner passphrase opens (RFC 7468 §11). */
export function isEncryptedKey(pem: string): boolean {
  return pem.startsWith('-----BEGIN ENCRYPTED PRIVATE KEY-----');
}

/** The permission bits of a key file, or null when there is none. */
export function keyMode(folder: string, name: KeyName): number | null {
  const stat = statSync(keyPath(folder, name), { throwIfNoEntry: false });
  return stat === undefined ? null : stat.mode & 0o777;
}
