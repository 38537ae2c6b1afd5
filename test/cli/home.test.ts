/** Making a home, and homes that cannot be used. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../support/child.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { initHome, seed, seedJson, startDaemon } from './seed.ts';

const isRoot = process.getuid?.() === 0;
/** The user "nobody" on the systems where tests run as root. */
const NOBODY = 65_534;

test('init makes a home once, and says what to keep', async () => {
  using room = scratch();
  const home = room.at('home');
  const made = await seed(['init', '--home', home], { env: { SEED_PORT: '0' } });
  expect(made).toMatchObject({ code: 0, stderr: '' });
  expect(made.stdout).toContain(`Made a seed in ${home}.`);
  expect(made.stdout).toContain(`Keep a copy of ${path.join(home, 'root', '1.json')} elsewhere`);
  expect(made.stdout).toContain('every program that runs as you can act as its owner');
  expect(statSync(path.join(home, 'keys')).mode & 0o777).toBe(0o700);
  const again = await seedJson(['init', '--home', home]);
  expect(again).toEqual({ code: 0, answer: { home, created: false, passphrase: null } });
});

test('a passphrase asked for too late is refused, not forgotten', async () => {
  using room = scratch();
  await initHome(room.at('home'));
  const { code, stderr } = await seed(['init', '--passphrase', '--home', room.at('home')]);
  expect(code).toBe(1);
  expect(stderr).toContain('its passphrase stays as it is');
});

test('init --passphrase needs a terminal, and makes nothing without one', async () => {
  using room = scratch();
  const { code, stderr } = await seed(['init', '--passphrase', '--home', room.at('home')], {
    input: 'a long passphrase\na long passphrase\n',
  });
  expect(code).toBe(1);
  expect(stderr).toContain('typed on a terminal');
  expect(existsSync(room.at('home'))).toBe(false);
});

test.each([['status'], ['doctor'], ['down'], ['receipts', 'list'], ['receipts', 'note', 'x']])(
  'no home: seed %s %s says how to make one',
  async (...argv) => {
    using room = scratch();
    const { code, stdout, stderr } = await seed([...argv, '--home', room.at('none')]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `seed: There is no seed in ${room.at('none')}.\n      Make one with \`seed init\`, or start one with \`seed up\`.\n`,
    );
    expect(readdirSync(room.folder)).toEqual([]);
  },
);

test('a folder of somebody else’s is left as it is', async () => {
  using room = scratch();
  writeFileSync(room.at('letter.txt'), 'dear');
  for (const argv of [['init'], ['up'], ['status']]) {
    const { code, answer } = await seedJson<ErrorAnswer>([...argv, '--home', room.folder]);
    expect(code).toBe(1);
    expect(answer.error.code).toBe('home_foreign');
  }
  expect(readdirSync(room.folder)).toEqual(['letter.txt']);
});

test('a file where the home should be is an error in words', async () => {
  using room = scratch();
  writeFileSync(room.at('home'), '');
  const { code, answer } = await seedJson<ErrorAnswer>(['init', '--home', room.at('home')]);
  expect(code).toBe(1);
  expect(answer.error).toMatchObject({ code: 'home_unwritable' });
  expect(answer.error.message).toContain(room.at('home'));
});

test('a folder that a program synchronises is refused', async () => {
  using room = scratch();
  mkdirSync(room.at('Dropbox'));
  const { code, answer } = await seedJson<ErrorAnswer>(['init', '--home', room.at('Dropbox', 'home')]);
  expect(code).toBe(1);
  expect(answer.error.code).toBe('home_unsuitable');
  expect(readdirSync(room.at('Dropbox'))).toEqual([]);
});

test.runIf(isRoot)('another user gets in nowhere, and is told so', async () => {
  using room = scratch();
  chmodSync(room.folder, 0o755);
  const home = room.at('home');
  await initHome(home);
  for (const argv of [['status'], ['receipts', 'list'], ['receipts', 'note', 'x'], ['up'], ['down'], ['doctor']]) {
    const { code, stdout, stderr } = await seed([...argv, '--home', home], { uid: NOBODY });
    expect({ argv, code, stdout }).toEqual({ argv, code: 1, stdout: '' });
    expect(stderr).toContain(home);
    expect(stderr).not.toContain('defect');
  }
});

test.runIf(isRoot)('an export that may not be read is not called a defect', async () => {
  using room = scratch();
  chmodSync(room.folder, 0o755);
  const [home, out] = [room.at('home'), room.at('out')];
  await initHome(home);
  await seed(['receipts', 'export', '--home', home, '--out', out]);
  chownSync(out, 0, 0);
  chmodSync(path.join(out, 'receipts.jsonl'), 0o600);
  const { code, stderr } = await seed(['receipts', 'verify', out], { uid: NOBODY });
  expect(code).toBe(1);
  expect(stderr).toContain('receipts.jsonl cannot be read (EACCES).');
});

test('doctor finds what is open to others, and exits 1', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  const healthy = await seedJson<{ worst: string }>(['doctor', '--home', home]);
  expect(healthy).toMatchObject({ code: 0, answer: { worst: 'warning' } });
  chmodSync(path.join(home, 'keys'), 0o755);
  const open = await seed(['doctor', '--home', home]);
  expect(open.code).toBe(1);
  expect(open.stdout).toMatch(/^bad +home +Other users of this machine can look into private folders\.$/m);
  expect(open.stdout).toContain(`chmod 700 ${path.join(home, 'keys')}`);
});

test('doctor examines a home that nothing else opens, and says what to do', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  writeFileSync(path.join(home, 'keys', 'log.pem'), 'garbage');
  writeFileSync(path.join(home, 'lock.db'), 'garbage '.repeat(999));
  rmSync(path.join(home, 'config.json'));
  writeFileSync(path.join(home, 'seed.db'), '');
  const { code, stdout, stderr } = await seed(['doctor', '--home', home]);
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  for (const check of ['settings', 'lock', 'keys', 'database']) {
    expect(stdout).toMatch(new RegExp(`^bad +${check} .*\\n +→ .+$`, 'm'));
  }
  expect(stdout).toMatch(/^good +root /m);
  expect(stdout).toMatch(/^warning +daemon +No daemon .*, so models, access keys, .* were not looked at\.$/m);
  expect(stdout).not.toContain('defect');
});

test('doctor tells of a missing checkpoint, whether or not a daemon serves', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  const damaged = /^bad +log +The checkpoint kept outside the log is missing \(.*checkpoint\)\.$/m;
  {
    await using _daemon = await startDaemon(home);
    expect(await seed(['doctor', '--home', home])).toMatchObject({ code: 0 });
    // What the daemon commits at that moment brings it back.
    await until(async () => {
      rmSync(path.join(home, 'checkpoint'), { force: true });
      const served = await seed(['doctor', '--home', home]);
      return served.code === 1 && damaged.test(served.stdout) && /^good +daemon /m.test(served.stdout);
    }, 'the doctor to miss it');
    expect(await seed(['down', '--home', home])).toMatchObject({ code: 0 });
  }
  rmSync(path.join(home, 'checkpoint'), { force: true });
  const alone = await seed(['doctor', '--home', home]);
  expect(alone.code).toBe(1);
  expect(alone.stdout).toMatch(damaged);
  expect(alone.stdout).toContain('accept-rollback');
});

test('a home without its settings is a seed all the same, and every command says how to mend it', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  const settings = path.join(home, 'config.json');
  const before = readFileSync(settings, 'utf8');
  rmSync(settings);
  for (const argv of [['status'], ['up'], ['init'], ['down'], ['receipts', 'list'], ['receipts', 'note', 'x']]) {
    const { code, answer } = await seedJson<ErrorAnswer>([...argv, '--home', home]);
    expect({ argv, code, error: answer.error.code }).toEqual({ argv, code: 1, error: 'home_damaged' });
    expect(answer.error.message).toContain('config.json is missing.');
    const anew = /\{.*\}$/.exec(answer.error.hint)?.[0] ?? '';
    expect(JSON.parse(anew)).toMatchObject({ seed: (JSON.parse(before) as { seed: string }).seed });
    writeFileSync(room.at('anew'), anew);
  }
  expect(existsSync(settings)).toBe(false);
  // What the hint says to write does mend it.
  writeFileSync(settings, readFileSync(room.at('anew')));
  expect(await seed(['receipts', 'note', 'x', '--home', home])).toMatchObject({ code: 0 });
});

test('a damaged lock is said to hold nothing, and goes when it is removed', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  writeFileSync(path.join(home, 'lock.db'), 'garbage '.repeat(999));
  for (const argv of [['up'], ['down'], ['receipts', 'note', 'x']]) {
    const { code, stderr } = await seed([...argv, '--home', home]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^seed: The lock file .*lock\.db is damaged\.\n +Nothing is kept in it: remove it/);
  }
  rmSync(path.join(home, 'lock.db'));
  expect(await seed(['receipts', 'note', 'x', '--home', home])).toMatchObject({ code: 0 });
});

test('a log folder that is none is no defect', async () => {
  using room = scratch();
  const home = room.at('home');
  await initHome(home);
  const log = path.join(home, 'log');
  for (const damage of [
    () => writeFileSync(log, ''),
    () => mkdirSync(path.join(log, 'seed.log'), { recursive: true }),
  ]) {
    rmSync(log, { recursive: true });
    damage();
    const { code, answer } = await seedJson<ErrorAnswer>(['up', '--home', home]);
    expect({ code, error: answer.error.code }).toEqual({ code: 1, error: 'home_damaged' });
    expect(answer.error.message).toContain('Something else stands where the log');
    expect(answer.error.hint).toContain('Move it away');
  }
});
