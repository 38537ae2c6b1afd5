/** The address behind a proxy is pinned in the home: whoever starts the daemon, it answers to it. */
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { serve } from '../../src/daemon.ts';
import { initHome, openLocally } from '../../src/main.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import { readSettings } from '../../src/substrate/home/settings.ts';
import { scratch } from '../support/scratch.ts';

const PUBLIC = 'https://seed.example.org';

/** The status of `/healthz` asked for under a Host. */
function health(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: '/healthz', headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.once('error', reject).end();
  });
}

/** What a daemon started with that environment calls its address, and which hosts it answers to. */
async function start(home: string, env: Record<string, string>): Promise<{ url: string | null; answers: number[] }> {
  const config = readConfig({ home, behindProxy: env['SEED_PUBLIC_URL'] !== undefined }, { SEED_PORT: '0', ...env });
  await initHome(config, null);
  const daemon = await serve(config);
  try {
    const { port } = readSettings(home);
    const answers = [await health(port, 'seed.example.org'), await health(port, `127.0.0.1:${port}`)];
    return { url: daemon.url, answers };
  } finally {
    daemon.stop();
    await daemon.stopped;
  }
}

/** Sets it with no daemon running; resolves to the error's code, or null. */
async function set(home: string, value: string): Promise<string | null> {
  const seed = await openLocally(readConfig({ home }, {}));
  try {
    await seed.call({ tool: 'config_set', input: { name: 'public-url', value }, actor: OWNER });
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await seed.close();
  }
}

test('is answered to once it was pinned, by every later start, until it is taken back', async () => {
  using dir = scratch();
  const home = dir.at('home');
  expect((await start(home, {})).answers).toEqual([403, 200]);
  expect(await start(home, { SEED_PUBLIC_URL: PUBLIC })).toEqual({ url: `${PUBLIC}/mcp`, answers: [200, 200] });
  expect(await start(home, {})).toEqual({ url: `${PUBLIC}/mcp`, answers: [200, 200] });
  expect(await set(home, 'off')).toBeNull();
  expect((await start(home, {})).answers).toEqual([403, 200]);
});

test('is an https origin and nothing else', async () => {
  using dir = scratch();
  const home = dir.at('home');
  await initHome(readConfig({ home }, { SEED_PORT: '0' }), null);
  for (const value of [
    'http://seed.example.org',
    'https://seed.example.org/x',
    'https://a:b@seed.example.org',
    'on',
    'https://seed.example.org?x',
  ])
    expect(await set(home, value), value).toBe('invalid_input');
  expect(await set(home, `${PUBLIC}/`)).toBeNull();
  expect(() => readConfig({ home, behindProxy: true }, { SEED_PUBLIC_URL: 'http://x' })).toThrow(/SEED_PUBLIC_URL/);
});
