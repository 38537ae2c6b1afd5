/** The key and the role that a client is pointed at the gateway with are ones that the gateway takes. */
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Scratch } from '../../support/scratch.ts';
import { scratch } from '../../support/scratch.ts';
import { initHome, seed, seedJson } from '../seed.ts';

let dir: Scratch;
let env: Record<string, string>;
beforeAll(async () => {
  dir = scratch();
  env = { SEED_HOME: dir.at('home') };
  await initHome(dir.at('home'));
});
afterAll(() => dir[Symbol.dispose]());

async function issued(name: string, scope: string): Promise<string> {
  const { answer } = await seedJson<{ key: string }>(['key', 'issue', name, '--scope', scope], { env });
  return answer.key;
}

function keyFile(name: string, text: string, mode = 0o600): string {
  const path = dir.at(name);
  writeFileSync(path, `${text}\n`);
  chmodSync(path, mode);
  return path;
}

test('a key that would be refused is refused before anything is written', async () => {
  const settings = dir.at('settings.json');
  const connect = (file: string, ...more: string[]): ReturnType<typeof seed> =>
    seed(['connect', 'claude-code', '--gateway', '--write', '--settings-file', settings, '--key-file', file, ...more], {
      env,
    });
  const good = await issued('good', 'route.complete');
  const cases = [
    [dir.at('nowhere'), 'cannot be read'],
    [keyFile('junk', 'junk'), 'does not hold an access key'],
    [keyFile('cut', good.slice(0, -4)), 'does not hold an access key'],
    [keyFile('open', good, 0o644), 'can be read by other users'],
    [keyFile('narrow', await issued('narrow', 'seed.status')), 'lacks the scope route.complete'],
  ] as const;
  for (const [file, why] of cases) {
    const { code, stderr } = await connect(file);
    expect([why, code]).toEqual([why, 2]);
    expect(stderr).toContain(why);
    expect(stderr).not.toContain(good.slice(0, 40));
  }
  const file = keyFile('key', good);
  const noRole = await connect(file, '--role', 'nosuch');
  expect(noRole.code).not.toBe(0);
  expect(noRole.stderr).toContain('no role "nosuch"');
  expect(existsSync(settings)).toBe(false);
  // The control: the same key, in a file of one's own.
  expect(await connect(file)).toMatchObject({ code: 0 });
  expect(existsSync(settings)).toBe(true);
  await seed(['key', 'revoke', 'good'], { env });
  expect((await connect(file)).stderr).toContain('no longer');
}, 60_000);
