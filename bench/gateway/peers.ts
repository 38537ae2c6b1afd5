/**
 * The gateways of others that ours is measured beside, installed by npm into the benchmark's own folder, each with a
 * home of its own there.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/port.ts';

const PORTKEY = '@portkey-ai/gateway@1.15.2';
const ROUTER = '@musistudio/claude-code-router@2.0.0';
const START_MS_MAX = 30_000;

export const BASE_NAMES = { portkey: 'Portkey 1.15.2', router: 'claude-code-router 2.0.0' } as const;

/** Where and how a model is asked through one of the ways that are measured. */
export interface Way {
  readonly name: string;
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: (stream: boolean) => string;
}

export interface Peer extends AsyncDisposable {
  readonly pid: number;
  readonly way: Way;
}

const TEXT = 'Measure this, please.';

export function chatBody(model: string, more: object = {}): (stream: boolean) => string {
  return (stream) =>
    JSON.stringify({ model, max_tokens: 64, messages: [{ role: 'user', content: TEXT }], stream, ...more });
}

/** Installs both; their scripts are not run. */
export function installPeers(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{"private":true}');
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', PORTKEY, ROUTER];
  execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
}

export async function startPortkey(folder: string, stubUrl: string): Promise<Peer> {
  const port = await freePort();
  const script = path.join(folder, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js');
  const served = await serve([script, `--port=${port}`, '--headless'], {
    port,
    home: path.join(folder, 'portkey-home'),
  });
  const way: Way = {
    name: BASE_NAMES.portkey,
    origin: `http://127.0.0.1:${port}`,
    path: '/v1/chat/completions',
    headers: { authorization: 'Bearer x', 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${stubUrl}/v1` },
    body: chatBody('measured'),
  };
  return { ...served, way };
}

export async function startRouter(folder: string, stubUrl: string): Promise<Peer> {
  const port = await freePort();
  const home = path.join(folder, 'router-home');
  mkdirSync(path.join(home, '.claude-code-router'), { recursive: true });
  const config = {
    HOST: '127.0.0.1',
    PORT: port,
    LOG: false,
    NON_INTERACTIVE_MODE: true,
    Providers: [{ name: 'stub', api_base_url: `${stubUrl}/v1/chat/completions`, api_key: 'x', models: ['measured'] }],
    Router: { default: 'stub,measured' },
  };
  writeFileSync(path.join(home, '.claude-code-router', 'config.json'), JSON.stringify(config));
  const script = path.join(folder, 'node_modules', '@musistudio', 'claude-code-router', 'dist', 'cli.js');
  const served = await serve([script, 'start'], { port, home });
  const way: Way = {
    name: BASE_NAMES.router,
    origin: `http://127.0.0.1:${port}`,
    path: '/v1/messages',
    headers: { 'x-api-key': 'x', 'anthropic-version': '2023-06-01' },
    body: chatBody('measured'),
  };
  return { ...served, way };
}

/** Starts a server in a process and waits until something listens. */
async function serve(
  args: readonly string[],
  { port, home }: { port: number; home: string },
): Promise<{ pid: number } & AsyncDisposable> {
  mkdirSync(home, { recursive: true });
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, args, { stdio: 'ignore', env: { PATH, HOME: home, NODE_ENV: 'production' } });
  const ended = once(child, 'close');
  const until = Date.now() + START_MS_MAX;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > until) {
      child.kill('SIGKILL');
      throw new Error(`${path.basename(args[0] ?? '')} does not serve.`);
    }
    await delay(100);
  }
  return {
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function answers(port: number): Promise<boolean> {
  try {
    await (await fetch(`http://127.0.0.1:${port}/`)).body?.cancel();
    return true;
  } catch {
    return false;
  }
}
