/** A command that comes while a daemon has the home and no door: it starts, or is on its way out. */
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { ask } from '../../src/cli/ask.ts';
import type { Config } from '../../src/config.ts';
import { readConfig } from '../../src/config.ts';
import { initHome, ownerSocketOf } from '../../src/main.ts';
import type { HomeLock } from '../../src/substrate/home/lock.ts';
import { lockHome } from '../../src/substrate/home/lock.ts';
import { until } from '../support/child.ts';
import { scratch } from '../support/scratch.ts';

const STATUS = { tool: 'key_list', input: {}, access: 'write' } as const;

async function withLockedHome(use: (config: Config, lock: HomeLock) => Promise<void>): Promise<void> {
  using room = scratch();
  const config = readConfig({ home: room.at('home') }, { SEED_PORT: '0' });
  await initHome(config, null);
  const lock = await lockHome(config.home, { driver: 'better-sqlite3', role: 'daemon', waitMs: 0 });
  try {
    await use(config, lock);
  } finally {
    lock.release();
  }
}

/** The same configuration, with how often somebody has looked where the home is: each round looks anew. */
function watched(config: Config): { readonly config: Config; readonly looks: () => number } {
  let looks = 0;
  const get = (target: Config, name: string | symbol): unknown => {
    if (name === 'home') looks++;
    return Reflect.get(target, name);
  };
  return { config: new Proxy(config, { get }), looks: () => looks };
}

const SEVERAL_ROUNDS = 30;

test('waits for the door of a daemon that starts', async () => {
  await withLockedHome(async (config) => {
    const seen = watched(config);
    const answer = ask(seen.config, STATUS);
    await until(() => seen.looks() > SEVERAL_ROUNDS, 'it to have looked in vain');
    let asked = 0;
    const door = createServer((incoming, response) => {
      asked++;
      incoming.resume().once('end', () => response.end('{"result":"from the daemon"}\n'));
    });
    door.listen(ownerSocketOf(config));
    expect(await answer).toBe('from the daemon');
    expect(asked).toBe(1);
    door.close();
    door.closeAllConnections();
    await until(() => !door.listening, 'the door to be closed');
  });
});

test('does it itself once a daemon that stopped is gone', async () => {
  await withLockedHome(async (config, lock) => {
    const seen = watched(config);
    const answer = ask<{ grants: readonly unknown[] }>(seen.config, STATUS);
    await until(() => seen.looks() > SEVERAL_ROUNDS, 'it to have looked in vain');
    lock.release();
    expect((await answer).grants).toEqual([]);
  });
});

test('says after a while what is the matter', async () => {
  await withLockedHome(async (config) => {
    await expect(ask(config, STATUS)).rejects.toMatchObject({
      code: 'home_locked',
      message: expect.stringContaining('does not answer at the owner’s door') as string,
      hint: expect.stringContaining('still be starting') as string,
    });
  });
});
