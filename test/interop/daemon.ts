/** The real program, started for a test, and asked at its owner's door. */
import path from 'node:path';
import { callOwnerDoor } from '../../src/cli/owner-client.ts';
import { readSettings } from '../../src/substrate/home/settings.ts';
import { socketPaths } from '../../src/substrate/home/sockets.ts';
import type { Scope } from '../../src/substrate/identity/scopes.ts';
import type { Child, ChildOptions } from '../support/child.ts';
import { startNode } from '../support/child.ts';

const ROOT = path.resolve(import.meta.dirname, '..', '..');

/** The program as users start it; it runs from dist/. */
export const SEED_COMMAND: string = path.join(ROOT, 'bin', 'seed.cjs');

export interface IssuedKey {
  readonly id: string;
  /** The bearer key; null for a key with a public key of its own. */
  readonly key: string;
  readonly url: string;
}

export interface TestDaemon extends AsyncDisposable {
  readonly home: string;
  readonly url: string;
  readonly agentSocket: string;
  readonly child: Child;
  /** Calls a tool as the owner. */
  readonly owner: (tool: string, input: unknown) => Promise<unknown>;
  readonly issueKey: (name: string, scopes: readonly Scope[], more?: object) => Promise<IssuedKey>;
  /** Stops in good order. */
  readonly stop: () => Promise<void>;
}

interface Ready {
  readonly ready: true;
  readonly url: string;
}

/** Starts the daemon of a home, which is made if it is not there, and waits until it serves. */
export async function startDaemon(home: string, options: Pick<ChildOptions, 'under'> = {}): Promise<TestDaemon> {
  const child = startNode([SEED_COMMAND, 'up', '--home', home, '--json'], { ...options, env: { SEED_PORT: '0' } });
  try {
    await child.line((line) => line === '}');
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
  const { url } = JSON.parse(child.lines.join('\n')) as Ready;
  const sockets = socketPaths(home, readSettings(home).sockets);
  const owner = (tool: string, input: unknown): Promise<unknown> =>
    callOwnerDoor(sockets.owner, { tool, input }, () => {});
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await child.ended;
  };
  return {
    home,
    url,
    agentSocket: sockets.agent,
    child,
    owner,
    issueKey: async (name, scopes, more = {}) => (await owner('key_issue', { name, scopes, ...more })) as IssuedKey,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
