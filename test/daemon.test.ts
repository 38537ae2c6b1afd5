/** What comes once the doors are open: it is waited for by whoever asks for it, and by nobody else. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { callOwnerDoor } from '../src/cli/owner-client.ts';
import type { Config } from '../src/config.ts';
import { readConfig } from '../src/config.ts';
import type { Serving } from '../src/daemon.ts';
import { serve } from '../src/daemon.ts';
import { initHome, ownerSocketOf } from '../src/main.ts';
import type * as awake from '../src/mind/awake.ts';
import { until } from './support/child.ts';
import { allReceipts, openAgain } from './support/home.ts';
import { scratch } from './support/scratch.ts';

/** The daemon's pause before the rest is held until a test lets it go; making the mind is watched. */
const held = vi.hoisted(() => ({ pause: Promise.withResolvers<void>(), made: 0, onMake: (): void => {} }));

vi.mock('node:timers/promises', async (original) => {
  const timers = await original<{ setTimeout: (ms: number, value?: unknown, options?: object) => Promise<unknown> }>();
  return {
    ...timers,
    setTimeout: (ms: number, value?: unknown, options?: { ref?: boolean }) =>
      options?.ref === false ? held.pause.promise : timers.setTimeout(ms, value, options),
  };
});

vi.mock('../src/mind/awake.ts', async (original) => {
  const real = await original<typeof awake>();
  const makeAwake: typeof awake.makeAwake = async (parts) => {
    held.made += 1;
    held.onMake();
    return real.makeAwake(parts);
  };
  return { ...real, makeAwake };
});

afterEach(() => {
  held.pause = Promise.withResolvers<void>();
  held.made = 0;
  held.onMake = () => {};
});

async function newHome(home: string): Promise<Config> {
  const config = { ...readConfig({ home }, { SEED_PORT: '0' }), port: 0 };
  await initHome(config, null);
  return config;
}

function ask<T>(config: Config, tool: string, input: object = {}): Promise<T> {
  return callOwnerDoor(ownerSocketOf(config), { tool, input }, () => {}) as Promise<T>;
}

interface MindView {
  readonly state: string;
}

async function stop(daemon: Serving): Promise<void> {
  daemon.stop();
  await daemon.stopped;
}

async function lastAction(home: string): Promise<string | undefined> {
  await using seed = await openAgain(home);
  return (await allReceipts(seed.substrate)).at(-1)?.action;
}

test('the doors answer without the mind, and whoever asks for the mind gets one that turns', async () => {
  using room = scratch();
  const config = await newHome(room.at('home'));
  const daemon = await serve(config);
  expect(await ask(config, 'seed_status')).toMatchObject({ serving: true, mind: 'starting' });
  expect(held.made).toBe(0);
  const views = await Promise.all([ask<MindView>(config, 'mind_status'), ask<MindView>(config, 'mind_status')]);
  for (const { state } of views) expect(['resting', 'working']).toContain(state);
  const { findings } = await ask<{ findings: object[] }>(config, 'seed_doctor');
  expect(findings).toContainEqual(expect.objectContaining({ check: 'mind', verdict: 'good' }));
  held.pause.resolve();
  await stop(daemon);
  expect(held.made).toBe(1);
});

test('what came in before the loop turned is found by its first round, without another wake', async () => {
  using room = scratch();
  const config = await newHome(room.at('home'));
  const daemon = await serve(config);
  await ask(config, 'bus_send', { to: ['seed'], text: 'Is anybody there?' });
  expect(held.made).toBe(0);
  held.pause.resolve();
  await until(async () => {
    const { decisions } = await ask<{ decisions: readonly { organ: string }[] }>(config, 'mind_log');
    return decisions.some(({ organ }) => organ === 'digestor');
  }, 'the digestor to take the message up');
  await stop(daemon);
});

test('a stop before the rest begins leaves it out, one while it begins ends it; both leave a home in good order', async () => {
  using room = scratch();
  const [config, home] = [await newHome(room.at('home')), room.at('home')];
  await stop(await serve(config));
  expect(held.made).toBe(0);
  expect(await lastAction(home)).toBe('seed.stop');

  const daemon = await serve(config);
  held.onMake = () => daemon.stop();
  held.pause.resolve();
  await daemon.stopped;
  expect(held.made).toBe(1);
  expect(await lastAction(home)).toBe('seed.stop');

  const early = await serve(config, { signal: AbortSignal.abort() });
  await early.stopped;
  expect(held.made).toBe(1);
  expect(await lastAction(home)).toBe('seed.stop');
});

test('nothing begins to turn once the seed is stopping, although somebody asks for the mind', async () => {
  using room = scratch();
  const config = await newHome(room.at('home'));
  const daemon = await serve(config);
  await ask(config, 'seed_stop');
  // Whether it still gets in is a matter of turns; what it gets is a mind that does not turn.
  const [view] = await Promise.allSettled([ask<MindView>(config, 'mind_status'), daemon.stopped]);
  if (view.status === 'fulfilled') expect(view.value.state).toBe('off');
  expect(await lastAction(room.at('home'))).toBe('seed.stop');
});

test('a mind that cannot be made ends the daemon, which says why, and the home is free', async () => {
  using room = scratch();
  const [config, home] = [await newHome(room.at('home')), room.at('home')];
  held.onMake = () => {
    throw new Error('An organ is missing.');
  };
  const daemon = await serve(config);
  const asked = ask(config, 'mind_status');
  await expect(asked).rejects.toMatchObject({ code: 'internal' });
  held.pause.resolve();
  await expect(daemon.stopped).rejects.toThrow('An organ is missing.');
  const log = readdirSync(path.join(home, 'log')).map((name) => readFileSync(path.join(home, 'log', name), 'utf8'));
  expect(log.join('')).toContain('An organ is missing.');
  expect(await lastAction(home)).toBe('seed.stop');
});
