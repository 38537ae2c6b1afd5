/** Making a home: all of it or nothing; and what is said of one that is not whole. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkHome } from '../../src/substrate/health/files.ts';
import { HOME_ENTRIES, homePath, isHomeName } from '../../src/substrate/home/layout.ts';
import { homeState } from '../../src/substrate/home/create.ts';
import { isLocked, lockHome, readHolder } from '../../src/substrate/home/lock.ts';
import { openLogFile } from '../../src/substrate/home/log-file.ts';
import { readSettings } from '../../src/substrate/home/settings.ts';
import { chooseSocketFolder, prepareSocketFolder, socketPaths } from '../../src/substrate/home/sockets.ts';
import { assertSuitable, parseMountInfo, parseMountList, unsuitability } from '../../src/substrate/home/suitability.ts';
import { KEY_NAMES, keyPath, loadKey, passphrasePath } from '../../src/substrate/identity/keys.ts';
import { loadPassphrase, PASSPHRASE_CHARS_MAX, PASSPHRASE_CHARS_MIN } from '../../src/substrate/identity/passphrase.ts';
import { openSubstrateReader } from '../../src/substrate/substrate.ts';
import { codeOf, DRIVERS, makeHome, openAgain } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { testSources } from '../support/sources.ts';

const FAULT_POINTS = ['home.begun', 'home.keyed', 'home.stored', 'home.settled'];
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const listing = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

function codeOfSync(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe.each(DRIVERS)('a home made with %s', (driver) => {
  it('is there with everything, closed to others, and is made once', async () => {
    using dir = scratch();
    const home = dir.at('deep', 'er', 'home');
    expect(homeState(home)).toBe('absent');
    expect(await makeHome(home, { driver })).toBe(true);
    expect(homeState(home)).toBe('finished');
    expect(readdirSync(home).every(isHomeName)).toBe(true);
    expect(existsSync(homePath(home, 'unfinished'))).toBe(false);
    for (const path of [home, ...(['keys', 'credentials', 'log', 'owner'] as const).map((n) => homePath(home, n))]) {
      expect([path, mode(path)]).toEqual([path, '700']);
    }
    const files = [
      ...KEY_NAMES.map((name) => keyPath(homePath(home, 'keys'), name)),
      homePath(home, 'database'),
      homePath(home, 'settings'),
      homePath(home, 'lock'),
    ];
    for (const path of files) expect([path, mode(path)]).toEqual([path, '600']);
    const before = listing(home);
    expect(await makeHome(home, { driver, sources: testSources('another') })).toBe(false);
    expect(listing(home)).toEqual(before);
    await using seed = await openAgain(home, { driver });
    expect(await seed.substrate.log()).toMatchObject({ size: 1, seed: readSettings(home).seed });
    expect(isLocked(home, driver)).toBe(false);
  });

  it('closes a folder that was open to others', async () => {
    using dir = scratch();
    const home = dir.at('home');
    mkdirSync(home);
    chmodSync(home, 0o755);
    expect(await makeHome(home, { driver })).toBe(true);
    expect(mode(home)).toBe('700');
    expect(checkHome(home)).toMatchObject({ verdict: 'good' });
  });

  it('is one, however many make it at once', async () => {
    using dir = scratch();
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, index) => makeHome(dir.at('home'), { driver, sources: testSources(`${index}`) })),
    );
    expect(made.filter(Boolean)).toHaveLength(1);
    await using seed = await openAgain(dir.at('home'), { driver });
    expect((await seed.substrate.log()).size).toBe(1);
  });

  it.each(FAULT_POINTS)('leaves nothing behind where the making fails at %s', async (point) => {
    using dir = scratch();
    const fail = (at: string): void => {
      if (at === point) throw new Error(`stopped at ${at}`);
    };
    mkdirSync(dir.at('mine'));
    for (const home of [dir.at('a', 'b', 'home'), dir.at('mine')]) {
      await expect(makeHome(home, { driver, fault: fail })).rejects.toThrow(point);
    }
    if (point === 'home.settled') {
      // Everything is there by then; what is made stays.
      expect(homeState(dir.at('mine'))).toBe('finished');
    } else expect(listing(dir.folder)).toEqual(['mine']);
    const again = await makeHome(dir.at('mine'), { driver });
    expect(again).toBe(point !== 'home.settled');
    await using seed = await openAgain(dir.at('mine'), { driver });
    expect((await seed.substrate.log()).size).toBe(1);
  });
});

describe('a folder that is not a home', () => {
  it.each<[string, (home: string) => void]>([
    ['holds a letter', (home) => writeFileSync(join(home, 'letter.txt'), 'Dear aunt')],
    ['holds what a home has as well, made by somebody else', (home) => mkdirSync(join(home, 'keys'))],
    [
      'holds a letter beside an unfinished home',
      (home) => {
        writeFileSync(join(home, '.unfinished'), '');
        writeFileSync(join(home, 'letter.txt'), 'Dear aunt');
      },
    ],
    [
      'holds what is named nearly like a part of a home, beside an unfinished one',
      (home) => {
        writeFileSync(join(home, '.unfinished'), '');
        mkdirSync(join(home, 'keys'));
        mkdirSync(join(home, 'keys-old'));
        writeFileSync(join(home, 'keys-old', 'log.pem'), 'the only copy');
      },
    ],
  ])('%s: refused and left as it is', async (_name, prepare) => {
    using dir = scratch();
    mkdirSync(dir.at('home'));
    prepare(dir.at('home'));
    const before = listing(dir.folder);
    expect(await codeOf(makeHome(dir.at('home')))).toBe('home_foreign');
    expect(listing(dir.folder)).toEqual(before);
  });

  it('is a file: refused', async () => {
    using dir = scratch();
    writeFileSync(dir.at('home'), 'a file');
    expect(await codeOf(makeHome(dir.at('home')))).toBe('home_unwritable');
    expect(await codeOf(makeHome(dir.at('home', 'inside')))).toBe('home_unwritable');
    expect(readFileSync(dir.at('home'), 'utf8')).toBe('a file');
  });

  it('was left unfinished, at whatever point the removal was cut off: made anew', async () => {
    using dir = scratch();
    await makeHome(dir.at('whole'));
    for (const name of readdirSync(dir.at('whole')).filter((entry) => entry !== 'config.json')) {
      const home = dir.at(`without ${name}`);
      mkdirSync(home);
      writeFileSync(join(home, '.unfinished'), '');
      writeFileSync(join(home, name), 'rest');
      expect([name, homeState(home)]).toEqual([name, 'unfinished']);
      if (name.startsWith('lock.')) continue;
      expect([name, await makeHome(home)]).toEqual([name, true]);
    }
  });
});

const WORDS = 'correct horse battery staple';

it.runIf(existsSync('/proc/self'))('a folder that no file system can make ends in one error', async () => {
  expect(await codeOf(makeHome('/proc/nope/home'))).toBe('home_unwritable');
});

describe('a home that is damaged', () => {
  const open = (home: string): Promise<string> => codeOf(openAgain(home).then(({ substrate }) => substrate.close()));

  it.each<[string, (home: string) => void, string]>([
    ['database missing', (home) => rmSync(homePath(home, 'database')), 'home_damaged'],
    [
      'database missing, the mark of its making left over',
      (home) => {
        rmSync(homePath(home, 'database'));
        writeFileSync(homePath(home, 'unfinished'), '');
      },
      'home_damaged',
    ],
    [
      'database of another program',
      (home) => writeFileSync(homePath(home, 'database'), 'not a database'),
      'store_corrupt',
    ],
    ['root of trust missing', (home) => rmSync(homePath(home, 'root'), { recursive: true }), 'home_damaged'],
    [
      'root of trust edited',
      (home) => {
        const path = join(homePath(home, 'root'), '1.json');
        writeFileSync(path, readFileSync(path, 'utf8').replace('2026', '2025'));
      },
      'home_damaged',
    ],
    ['log key missing', (home) => rmSync(join(homePath(home, 'keys'), 'log.pem')), 'home_damaged'],
    [
      'log key of another seed',
      (home) => {
        writeFileSync(
          join(homePath(home, 'keys'), 'log.pem'),
          readFileSync(join(homePath(home, 'keys'), 'issuer.pem')),
        );
      },
      'home_damaged',
    ],
    ['log key no key', (home) => writeFileSync(join(homePath(home, 'keys'), 'log.pem'), 'no key'), 'home_damaged'],
    ['passphrase verifier no verifier', (home) => writeFileSync(passphrasePath(home), '{"v":1}'), 'home_damaged'],
    ['nothing', () => {}, 'none'],
  ])('%s', async (_name, damage, code) => {
    using dir = scratch();
    await makeHome(dir.at('home'));
    damage(dir.at('home'));
    expect(await open(dir.at('home'))).toBe(code);
    expect(await codeOf(makeHome(dir.at('home')))).toBe('none');
    if (_name.startsWith('database missing')) {
      expect(existsSync(homePath(dir.at('home'), 'database'))).toBe(false);
      const reading = { home: dir.at('home'), driver: 'better-sqlite3', sources: testSources() } as const;
      expect(codeOfSync(() => openSubstrateReader(reading))).toBe('home_damaged');
    }
  });

  it('passphrase file taken away, where one was set; where none was, there is nothing to miss', async () => {
    using dir = scratch();
    await makeHome(dir.at('home'), { passphrase: WORDS });
    expect(await open(dir.at('home'))).toBe('none');
    rmSync(passphrasePath(dir.at('home')));
    expect(await open(dir.at('home'))).toBe('home_damaged');
    await makeHome(dir.at('plain'));
    expect(await open(dir.at('plain'))).toBe('none');
  });

  it('database of another seed', async () => {
    using dir = scratch();
    await makeHome(dir.at('one'));
    await makeHome(dir.at('two'), { sources: testSources('two', Date.UTC(2026, 11, 1)) });
    writeFileSync(homePath(dir.at('one'), 'database'), readFileSync(homePath(dir.at('two'), 'database')));
    expect(await open(dir.at('one'))).toBe('home_damaged');
  });

  it.each(['', '{}', '{"v":2}', 'null', '{"v":1,"seed":"x","port":1,"sockets":null}'])('settings %j', async (text) => {
    using dir = scratch();
    await makeHome(dir.at('home'));
    writeFileSync(homePath(dir.at('home'), 'settings'), text);
    expect(codeOfSync(() => readSettings(dir.at('home')))).toBe('home_damaged');
  });
});

describe('the owner passphrase', () => {
  it('is asked for where one was set, and only the right one passes', async () => {
    using dir = scratch();
    await makeHome(dir.at('home'), { passphrase: WORDS });
    await makeHome(dir.at('open'));
    const path = passphrasePath(dir.at('home'));
    expect(mode(path)).toBe('600');
    expect(readFileSync(path, 'utf8')).not.toContain('horse');
    const check = loadPassphrase(path);
    expect(check.required).toBe(true);
    const tries = [WORDS, `${WORDS} `, WORDS.toUpperCase(), '', 'x'.repeat(5_000)];
    expect(await Promise.all(tries.map((text) => check.verify(text)))).toEqual([true, false, false, false, false]);
    expect(loadPassphrase(passphrasePath(dir.at('open'))).required).toBe(false);
  });

  it('encrypts the root keys, and not the ones that the daemon needs', async () => {
    using dir = scratch();
    await makeHome(dir.at('home'), { passphrase: WORDS });
    const keys = homePath(dir.at('home'), 'keys');
    for (const name of ['root', 'root-next'] as const) {
      expect(codeOfSync(() => loadKey(keys, name))).toBe('home_damaged');
      expect(codeOfSync(() => loadKey(keys, name, 'wrong words here'))).toBe('home_damaged');
      expect(codeOfSync(() => loadKey(keys, name, WORDS))).toBe('none');
    }
    for (const name of ['log', 'issuer'] as const) expect(codeOfSync(() => loadKey(keys, name))).toBe('none');
  });

  it('counts the same however a system composes its letters', async () => {
    using dir = scratch();
    await makeHome(dir.at('home'), { passphrase: 'schlüssel'.normalize('NFC') });
    expect(await loadPassphrase(passphrasePath(dir.at('home'))).verify('schlüssel'.normalize('NFD'))).toBe(true);
  });

  it('too short or too long: no home', async () => {
    using dir = scratch();
    for (const passphrase of ['', 'x'.repeat(PASSPHRASE_CHARS_MIN - 1), 'x'.repeat(PASSPHRASE_CHARS_MAX + 1)]) {
      expect(await codeOf(makeHome(dir.at('home'), { passphrase }))).toBe('invalid_input');
    }
    expect(listing(dir.folder)).toEqual([]);
  });

  it.each(['', '{}', '{"v":1,"n":2,"r":8,"p":1,"salt":"AA==","hash":"AA=="}', 'null'])(
    'damaged (%j) fails closed',
    (text) => {
      using dir = scratch();
      writeFileSync(dir.at('passphrase.json'), text);
      expect(codeOfSync(() => loadPassphrase(dir.at('passphrase.json')))).toBe('home_damaged');
    },
  );
});

describe('the lock of a home', () => {
  it.each(DRIVERS)('is held by one on %s, who can be named', async (driver) => {
    using dir = scratch();
    const first = await lockHome(dir.folder, { driver, role: 'daemon', waitMs: 0 });
    expect(isLocked(dir.folder, driver)).toBe(true);
    const second = lockHome(dir.folder, { driver, role: 'command', waitMs: 10_000 });
    await expect(second).rejects.toMatchObject({ code: 'home_locked', data: { pid: process.pid, role: 'daemon' } });
    first.release();
    first.release();
    expect(isLocked(dir.folder, driver)).toBe(false);
    (await lockHome(dir.folder, { driver, role: 'command', waitMs: 0 })).release();
    expect(readHolder(dir.folder)).toEqual({ pid: process.pid, role: 'command' });
  });

  it('is waited for where a command has it', async () => {
    using dir = scratch();
    const first = await lockHome(dir.folder, { driver: 'better-sqlite3', role: 'command', waitMs: 0 });
    let got = false;
    const second = lockHome(dir.folder, { driver: 'better-sqlite3', role: 'daemon', waitMs: 30_000 }).then((lock) => {
      got = true;
      return lock;
    });
    expect(got).toBe(false);
    first.release();
    (await second).release();
  });

  it('is let go where its holder cannot be written down', async () => {
    using dir = scratch();
    mkdirSync(homePath(dir.folder, 'holder'));
    expect(await codeOf(lockHome(dir.folder, { driver: 'better-sqlite3', role: 'daemon', waitMs: 0 }))).toBe(
      'home_unwritable',
    );
    expect(isLocked(dir.folder, 'better-sqlite3')).toBe(false);
  });
});

describe('sockets', () => {
  it('are in the home while their paths fit, else in a short folder that is ours', () => {
    expect(chooseSocketFolder('/home/me/seed', null)).toBeNull();
    const long = `/home/me/${'deep/'.repeat(30)}seed`;
    for (const runtime of [null, '/run/user/1000', `/run/${'x'.repeat(120)}`]) {
      const folder = chooseSocketFolder(long, runtime);
      expect(folder).not.toBeNull();
      const { owner, agent } = socketPaths(long, folder);
      for (const path of [owner, agent]) expect(Buffer.byteLength(path)).toBeLessThanOrEqual(103);
    }
    expect(chooseSocketFolder(long, '/run/user/1000')).toMatch(/^\/run\/user\/1000\//);
    expect(chooseSocketFolder(`${long}2`, null)).not.toBe(chooseSocketFolder(long, null));
    // Measured in bytes: 60 letters of two bytes each do not fit.
    expect(chooseSocketFolder(`/home/${'ü'.repeat(60)}`, null)).not.toBeNull();
  });

  it('are in no folder that others can enter', () => {
    using dir = scratch();
    prepareSocketFolder(dir.at('sockets'));
    prepareSocketFolder(dir.at('sockets'));
    expect(mode(dir.at('sockets'))).toBe('700');
    chmodSync(dir.at('sockets'), 0o755);
    expect(codeOfSync(() => prepareSocketFolder(dir.at('sockets')))).toBe('home_unsuitable');
  });
});

describe('where a home may be', () => {
  const mounts = (type: string, folder: string): ReturnType<typeof parseMountInfo> =>
    parseMountInfo(
      `21 1 8:1 / / rw - ext4 /dev/sda1 rw\n36 21 0:30 / ${folder} rw,relatime shared:1 - ${type} server:/x rw\n`,
    );

  it.each(['nfs', 'nfs4', 'cifs', 'smb3', 'fuse.sshfs', '9p', 'ceph', 'fuse.rclone'])('not on %s', (type) => {
    using dir = scratch();
    expect(unsuitability(dir.at('home'), mounts(type, dir.folder))).toContain(type);
    expect(unsuitability(dir.at('home'), mounts(type, `${dir.folder}-beside`))).toBeNull();
  });

  it.each(['ext4', 'xfs', 'btrfs', 'tmpfs', 'apfs', 'overlay'])('on %s', (type) => {
    using dir = scratch();
    expect(unsuitability(dir.at('home'), mounts(type, dir.folder))).toBeNull();
  });

  it('is judged by the deepest mount, spaces in names and all', () => {
    using dir = scratch();
    mkdirSync(dir.at('my disk', 'inner'), { recursive: true });
    const escaped = dir.at('my disk').replaceAll(' ', '\\040');
    const outer = mounts('nfs4', escaped);
    expect(unsuitability(dir.at('my disk', 'home'), outer)).toContain('nfs4');
    const inner = [...outer, { folder: dir.at('my disk', 'inner'), type: 'ext4' }];
    expect(unsuitability(dir.at('my disk', 'inner', 'home'), inner)).toBeNull();
  });

  it('reads the list of macOS', () => {
    const list = '/dev/disk1 on / (apfs, local, journaled)\nserver:/x on /Volumes/my share (nfs, nodev)\n';
    expect(parseMountList(list)).toEqual([
      { folder: '/', type: 'apfs' },
      { folder: '/Volumes/my share', type: 'nfs' },
    ]);
  });

  it.each(['Dropbox', 'OneDrive', 'OneDrive - Work', 'Mobile Documents', 'CloudStorage', 'Nextcloud'])(
    'not in %s',
    async (name) => {
      using dir = scratch();
      const home = dir.at(name, 'sub', 'home');
      expect(codeOfSync(() => assertSuitable(home))).toBe('home_unsuitable');
      expect(await codeOf(makeHome(home))).toBe('home_unsuitable');
      expect(listing(dir.folder)).toEqual([]);
      expect(codeOfSync(() => assertSuitable(dir.at(`my-${name}`, 'home')))).toBe('none');
    },
  );

  it('not beside the mark of a synchroniser', () => {
    using dir = scratch();
    writeFileSync(dir.at('.stfolder'), '');
    expect(unsuitability(dir.at('home'), [])).toContain('synchronises');
  });
});

describe('the log file', () => {
  it('is bounded, and keeps the newest lines', () => {
    using dir = scratch();
    const log = openLogFile(dir.at('log'), { bytesMax: 1_000 });
    for (let index = 0; index < 1_000; index++) log.write(`line ${index}\n`);
    log.close();
    const files = readdirSync(dir.at('log')).sort();
    expect(files).toEqual(['seed.log', 'seed.log.1', 'seed.log.2', 'seed.log.3', 'seed.log.4']);
    for (const name of files) expect(statSync(dir.at('log', name)).size).toBeLessThan(1_100);
    const newest = `${readFileSync(dir.at('log', 'seed.log.1'), 'utf8')}${readFileSync(dir.at('log', 'seed.log'), 'utf8')}`;
    expect(newest.trimEnd().split('\n').at(-1)).toBe('line 999');
    expect(mode(log.path)).toBe('600');
    expect(log.dropped()).toBe(0);
  });

  it('counts what it cannot write, and never touches a file that is not its own', () => {
    using dir = scratch();
    const log = openLogFile(dir.at('log'), { bytesMax: 10 });
    log.write('fills it up\n');
    rmSync(dir.at('log'), { recursive: true });
    log.write('nowhere to rotate to\n');
    log.write('nor this\n');
    expect(log.dropped()).toBe(2);
    log.close();
    log.close();
    log.write('after the end\n');
    expect(log.dropped()).toBe(3);
  });
});

describe('a home that others could look into', () => {
  it.each(['', 'keys', 'owner', 'credentials'])('is found out where "%s" is open to them', async (name) => {
    using dir = scratch();
    const home = dir.at('home');
    await makeHome(home);
    expect(checkHome(home)).toMatchObject({ check: 'home', verdict: 'good' });
    chmodSync(join(home, name), 0o750);
    expect(checkHome(home)).toMatchObject({ verdict: 'bad', advice: `chmod 700 ${join(home, name)}` });
  });

  it('is examined where a folder is missing that it can do without', async () => {
    using dir = scratch();
    const home = dir.at('home');
    await makeHome(home);
    rmSync(homePath(home, 'credentials'), { recursive: true });
    expect(checkHome(home)).toMatchObject({ verdict: 'good' });
    rmSync(homePath(home, 'keys'), { recursive: true });
    expect(checkHome(home)).toMatchObject({ verdict: 'bad', says: `keys missing in ${home}.` });
  });
});

describe('the list of files of a home', () => {
  it.each([
    'keys-old',
    'log-2025',
    'root-x',
    'keys.new',
    'log-wal',
    'seed.db-old',
    'seed.db.bak',
    'config.json.old',
    '',
  ])('does not have "%s"', (name) => expect(isHomeName(name)).toBe(false));

  it.each([
    'keys',
    'seed.db-wal',
    'seed.db-shm',
    'seed.db-journal',
    'lock.db-journal',
    'lock.json.new',
    'checkpoint.new',
  ])('has "%s"', (name) => expect(isHomeName(name)).toBe(true));

  it('gives each a meaning and an owner, and each name once', () => {
    const entries = Object.values(HOME_ENTRIES);
    expect(new Set(entries.map(({ path }) => path)).size).toBe(entries.length);
    for (const { meaning, owner } of entries) expect(meaning.length * owner.length).toBeGreaterThan(0);
  });

  it('names modules that are there, or says that they are planned', () => {
    const src = join(import.meta.dirname, '..', '..', 'src');
    const gone = Object.values(HOME_ENTRIES)
      .map(({ owner }) => owner)
      .filter((owner) => !owner.startsWith('planned: '))
      .filter((owner) => !existsSync(join(src, owner)) && !existsSync(join(src, `${owner}.ts`)));
    expect(gone).toEqual([]);
  });
});
