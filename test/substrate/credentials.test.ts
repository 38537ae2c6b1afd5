/** Credentials as files: who may read them, what is no name, and that nothing tells a secret. */
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { inspect } from 'node:util';
import * as fc from '../support/fast-check.ts';
import { describe, expect, test } from 'vitest';
import { SeedError } from '../../src/errors.ts';
import type { Secrets } from '../../src/substrate/home/credentials.ts';
import { Credentials } from '../../src/substrate/home/credentials.ts';
import { isForbiddenAddress, isLoopbackAddress, parseOrigin } from '../../src/substrate/origins.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';

const CANARY = 'sk-canary-3f9a77c1e2d84b06';
const ORIGIN = 'https://api.example.com';

interface Room extends Scratch {
  readonly credentials: Credentials;
}

function room(secrets: Secrets = {}): Room {
  const folder = scratch();
  return { ...folder, credentials: new Credentials(folder.folder, secrets) };
}

function errorOf(work: () => unknown): SeedError {
  try {
    work();
  } catch (error) {
    if (!(error instanceof SeedError)) throw error;
    expect(inspect(error, { depth: 9 })).not.toContain(CANARY);
    return error;
  }
  throw new Error('It was not refused.');
}

function reasonOf(work: () => unknown): unknown {
  return errorOf(work).data['reason'] ?? errorOf(work).code;
}

test('[LOCK-MEMBRANE-1] a credential is kept whole, for its owner alone, and read back with its origin', () => {
  using here = room();
  here.credentials.set({ name: 'one', origin: `${ORIGIN}/`, secret: CANARY });
  expect(statSync(here.at('credentials')).mode & 0o777).toBe(0o700);
  expect(statSync(here.at('credentials', 'one')).mode & 0o777).toBe(0o600);
  expect(here.credentials.open('one')).toEqual({
    name: 'one',
    origin: ORIGIN,
    source: { kind: 'file' },
    secret: CANARY,
  });
  expect(JSON.stringify(here.credentials.facts('one'))).not.toContain(CANARY);
  // What a crash left of an earlier try, open to all, does not lend its mode.
  writeFileSync(here.at('credentials', 'one.new'), 'rest', { mode: 0o666 });
  here.credentials.set({ name: 'one', origin: 'http://127.0.0.1:11434', secret: 'another' });
  expect(here.credentials.open('one')).toMatchObject({ origin: 'http://127.0.0.1:11434', secret: 'another' });
  expect(statSync(here.at('credentials', 'one')).mode & 0o777).toBe(0o600);
  expect(readdirSync(here.at('credentials'))).toEqual(['one']);
  expect(here.credentials.names()).toEqual(['one']);
  expect([here.credentials.remove('one'), here.credentials.remove('one'), here.credentials.names()]).toEqual([
    true,
    false,
    [],
  ]);
});

test('an environment name is kept as a name, and read where the seed runs', () => {
  using here = room({ ANTHROPIC_API_KEY: CANARY, NVIDIA_API_KEY: `${CANARY}\nX-Other: 1` });
  const { credentials } = here;
  credentials.set({ name: 'a', origin: ORIGIN, secret: { variable: 'ANTHROPIC_API_KEY' } });
  credentials.set({ name: 'n', origin: ORIGIN, secret: { variable: 'NVIDIA_API_KEY' } });
  credentials.set({ name: 'g', origin: ORIGIN, secret: { variable: 'GEMINI_API_KEY' } });
  expect(readFileSync(here.at('credentials', 'a'), 'utf8')).not.toContain(CANARY);
  expect(credentials.open('a').secret).toBe(CANARY);
  expect(credentials.facts('g').source).toEqual({ kind: 'environment', variable: 'GEMINI_API_KEY' });
  expect(reasonOf(() => credentials.open('g'))).toBe('unset');
  expect(reasonOf(() => credentials.open('n'))).toBe('damaged');
  writeFileSync(here.at('credentials', 'p'), JSON.stringify({ v: 1, origin: ORIGIN, variable: 'PATH' }), {
    mode: 0o600,
  });
  expect(reasonOf(() => credentials.open('p'))).toBe('damaged');
});

describe('[LOCK-MEMBRANE-1] refused', () => {
  test.each([
    '../keys/log.pem',
    'a/b',
    '/etc/passwd',
    '..',
    '.',
    '',
    'A',
    '-a',
    'a.b',
    'a\0',
    'a\n',
    'é',
    'a'.repeat(65),
  ])('the name %j, which is no name', (name) => {
    using here = room();
    mkdirSync(here.at('keys'));
    writeFileSync(here.at('keys', 'log.pem'), CANARY, { mode: 0o600 });
    for (const work of [
      () => here.credentials.open(name),
      () => here.credentials.facts(name),
      () => here.credentials.remove(name),
      () => here.credentials.set({ name, origin: ORIGIN, secret: CANARY }),
    ]) {
      expect(errorOf(work).code).toBe('invalid_input');
    }
    expect(readFileSync(here.at('keys', 'log.pem'), 'utf8')).toBe(CANARY);
    expect(existsSync(here.at('credentials'))).toBe(false);
  });

  test('a file that others may read, a link of either kind, and what is no file', () => {
    using here = room();
    const { credentials } = here;
    const file = here.at('credentials', 'one');
    credentials.set({ name: 'one', origin: ORIGIN, secret: CANARY });
    for (const mode of [0o640, 0o604, 0o660, 0o666, 0o620]) {
      chmodSync(file, mode);
      expect(reasonOf(() => credentials.open('one'))).toBe('open');
    }
    chmodSync(file, 0o400);
    expect(credentials.open('one').secret).toBe(CANARY);
    linkSync(file, here.at('second'));
    expect(reasonOf(() => credentials.open('one'))).toBe('open');
    credentials.set({ name: 'other', origin: ORIGIN, secret: CANARY });
    symlinkSync(here.at('credentials', 'other'), here.at('credentials', 'soft'));
    expect(credentials.open('other').secret).toBe(CANARY);
    expect(reasonOf(() => credentials.open('soft'))).toBe('open');
    mkdirSync(here.at('credentials', 'folder'));
    expect(reasonOf(() => credentials.open('folder'))).toBe('open');
    expect(reasonOf(() => credentials.open('none'))).toBe('missing');
  });

  test('a folder that others may enter, or that is a link', () => {
    using here = room();
    here.credentials.set({ name: 'one', origin: ORIGIN, secret: CANARY });
    for (const mode of [0o750, 0o701, 0o777]) {
      chmodSync(here.at('credentials'), mode);
      expect(reasonOf(() => here.credentials.open('one'))).toBe('open');
      expect(reasonOf(() => here.credentials.set({ name: 'two', origin: ORIGIN, secret: CANARY }))).toBe('open');
    }
    chmodSync(here.at('credentials'), 0o700);
    expect(here.credentials.open('one').secret).toBe(CANARY);
    renameSync(here.at('credentials'), here.at('elsewhere'));
    symlinkSync(here.at('elsewhere'), here.at('credentials'));
    expect(reasonOf(() => here.credentials.open('one'))).toBe('open');
  });

  test.each([
    '',
    `${CANARY}\n`,
    `${CANARY}\r\nX-Other: 1`,
    ` ${CANARY}`,
    `${CANARY} x`,
    `${CANARY}\0`,
    `${CANARY}ü`,
    'x'.repeat(8_193),
  ])('the secret %#, which could not stand in a header', (secret) => {
    using here = room();
    expect(errorOf(() => here.credentials.set({ name: 'one', origin: ORIGIN, secret })).code).toBe('invalid_input');
    expect(existsSync(here.at('credentials'))).toBe(false);
    // As an attacker or a hand might write it.
    mkdirSync(here.at('credentials'), { mode: 0o700 });
    writeFileSync(here.at('credentials', 'one'), JSON.stringify({ v: 1, origin: ORIGIN, secret }), { mode: 0o600 });
    expect(reasonOf(() => here.credentials.open('one'))).toBe('damaged');
  });

  test.each([
    CANARY,
    `{"v":1,"secret":"${CANARY}"}`,
    `{"v":1,"origin":"http://example.com","secret":"${CANARY}"}`,
    `{"v":1,"origin":"${ORIGIN}/path","secret":"${CANARY}"}`,
    `{"v":1,"origin":"https://169.254.169.254","secret":"${CANARY}"}`,
    `{"v":2,"origin":"${ORIGIN}","secret":"${CANARY}"}`,
    `{"v":1,"origin":"${ORIGIN}","secret":"${CANARY}","variable":"NVIDIA_API_KEY"}`,
    `{"v":1,"origin":"${ORIGIN}","secret":"${CANARY}","x":1}`,
  ])('the file %#, which is damaged', (text) => {
    using here = room();
    mkdirSync(here.at('credentials'), { mode: 0o700 });
    writeFileSync(here.at('credentials', 'one'), text, { mode: 0o600 });
    expect(reasonOf(() => here.credentials.open('one'))).toBe('damaged');
  });

  test.each([
    'http://example.com',
    'https://example.com/v1',
    'https://user@example.com',
    'https://user:word@example.com',
    'https://example.com?',
    'https://example.com#',
    'https://169.254.169.254',
    'https://2852039166',
    'file:///etc',
    'example.com',
    '',
  ])('to be bound to %j', (origin) => {
    using here = room();
    const error = errorOf(() => here.credentials.set({ name: 'one', origin, secret: CANARY }));
    expect([error.code, error.data['argument']]).toEqual(['invalid_input', 'origin']);
    expect(existsSync(here.at('credentials'))).toBe(false);
  });
});

test('an origin is told apart from every other by its text', () => {
  expect(parseOrigin('HTTPS://API.Example.com:443/')).toBe('https://api.example.com');
  expect(parseOrigin('http://127.1:80')).toBe('http://127.0.0.1');
  expect(parseOrigin('http://[0:0::1]:9')).toBe('http://[::1]:9');
});

describe('[LOCK-MEMBRANE-1] addresses', () => {
  const v4 = fc.tuple(...[0, 1, 2, 3].map(() => fc.integer({ min: 0, max: 255 })));
  const hex = ([a, b, c, d]: readonly number[]): string =>
    `${((a! << 8) | b!).toString(16)}:${((c! << 8) | d!).toString(16)}`;

  test('an IPv4 address is judged alike in every form that IPv6 has for it', () => {
    fc.assert(
      fc.property(v4, fc.boolean(), (parts, local) => {
        const [, , c, d] = parts;
        const address = local ? [169, 254, c!, d!] : parts;
        const judged = isForbiddenAddress(address.join('.'));
        if (local) expect(judged).toBe(true);
        for (const form of [`::ffff:${address.join('.')}`, `::ffff:${hex(address)}`, `64:ff9b::${hex(address)}`]) {
          expect([form, isForbiddenAddress(form)]).toEqual([form, judged]);
          expect(isLoopbackAddress(form)).toBe(isLoopbackAddress(address.join('.')));
        }
      }),
    );
  });

  test('link-local of IPv6 is refused whole, with and without a zone', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0xfe80, max: 0xfebf }), fc.integer({ min: 0, max: 0xffff }), (first, last) => {
        const address = `${first.toString(16)}::${last.toString(16)}`;
        expect([isForbiddenAddress(address), isForbiddenAddress(`${address}%eth0`)]).toEqual([true, true]);
      }),
    );
    expect(['2606:4700::1111', 'fd00::1', '8.8.8.8', '10.0.0.1', '::1', '127.0.0.1'].map(isForbiddenAddress)).toEqual(
      Array.from({ length: 6 }, () => false),
    );
    expect(['', 'x', '1.2.3', '127.0.0.1 ', '2606:4700::1111%eth0'].map(isForbiddenAddress)).toEqual(
      Array.from({ length: 5 }, () => true),
    );
  });
});
