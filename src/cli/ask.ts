/**
 * Runs a tool for a command: through the daemon where one serves, otherwise in this process, which
 * takes the home for a moment.
 */
import type { Config } from '../config.ts';
import { SeedError } from '../errors.ts';
import { OWNER } from '../substrate/actor.ts';
import { progressLine } from './output.ts';
import { callOwnerDoor } from './owner-client.ts';
import { askHidden, hasTerminal } from './terminal.ts';

export interface Ask {
  readonly tool: string;
  readonly input?: unknown;
  /** A read never takes the home's lock. */
  readonly access: 'read' | 'write';
}

/** The tool's answer, in the caller's word for its form. */
export async function ask<T>(config: Config, { tool, input = {}, access }: Ask): Promise<T> {
  const progress = progressLine();
  try {
    return (await withPassphrase((passphrase) =>
      once(config, { tool, input, access }, passphrase, progress.show),
    )) as T;
  } finally {
    progress.end();
  }
}

type Show = (done: number, total: number, what: string) => void;

async function once(
  config: Config,
  { tool, input, access }: Ask,
  passphrase: string | undefined,
  show: Show,
): Promise<unknown> {
  const { openLocally, openReading, ownerSocketOf } = await import('../main.ts');
  try {
    return await callOwnerDoor(ownerSocketOf(config), { tool, input, passphrase }, show);
  } catch (error) {
    if (!(error instanceof SeedError) || error.code !== 'daemon_absent') throw error;
  }
  const seed = access === 'read' ? openReading(config) : await openLocally(config);
  try {
    return await seed.call({
      tool,
      input,
      passphrase,
      actor: OWNER,
      onProgress: ({ done, total, what }) => show(done, total, what),
    });
  } finally {
    await seed.close();
  }
}

/** Asks for the passphrase on the terminal, once, when the seed wants it. */
async function withPassphrase<T>(call: (passphrase: string | undefined) => Promise<T>): Promise<T> {
  try {
    return await call(undefined);
  } catch (error) {
    if (!(error instanceof SeedError) || error.code !== 'passphrase_required' || !hasTerminal()) throw error;
  }
  return call(await askHidden('Owner passphrase: '));
}
