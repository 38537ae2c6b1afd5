/** The first run: what there is to call a model with, looked for once, when a home is made. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Config } from '../config.ts';
import { toSeedError } from '../errors.ts';
import { OWNER } from '../substrate/actor.ts';
import { NO_MODEL } from './commands/target.ts';
import { LAUNCHER } from './launcher.ts';
import { spoken } from './output.ts';

/** An Ollama that does not answer is given up long before. */
const LOOK_MS_MAX = 30_000;

/** What was found, and what came of it. */
export interface FirstRun {
  readonly found: readonly {
    readonly target: string;
    /** The environment's name for its key. */
    readonly variable: string | null;
    readonly models: readonly string[];
  }[];
  /** Roles that can run now. */
  readonly roles: readonly string[];
  /** Targets that no role asks yet. */
  readonly unused: readonly string[];
  readonly version: number | null;
  /** Why it could not be looked for; the home is made all the same. */
  readonly problem: string | null;
}

/** Looks for models from a home that was made just now; never fails, since the home is there. */
export async function lookForModels(config: Config, passphrase: string | null): Promise<FirstRun> {
  try {
    const { openLocally } = await import('../main.ts');
    const seed = await openLocally(config);
    try {
      const input = config.ollama === null ? {} : { ollama: config.ollama };
      const found = await seed.call({
        tool: 'target_detect',
        input,
        actor: OWNER,
        passphrase: passphrase ?? undefined,
      });
      return { ...(found as Omit<FirstRun, 'problem'>), problem: null };
    } finally {
      await seed.close();
    }
  } catch (thrown) {
    const { message, hint } = toSeedError(thrown);
    return { found: [], roles: [], unused: [], version: null, problem: `${message} ${hint}` };
  }
}

/**
 * The same in a process of its own: what it takes to ask an Ollama and to write a policy stays out of the memory of
 * a daemon that goes on from here.
 */
export async function lookForModelsApart({ home }: Config): Promise<FirstRun> {
  const args = [LAUNCHER, 'target', 'detect', '--json', '--home', home];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: LOOK_MS_MAX });
    return JSON.parse(stdout) as FirstRun;
  } catch (thrown) {
    const { message, hint } = saidBy(thrown) ?? toSeedError(thrown);
    return { found: [], roles: [], unused: [], version: null, problem: `${message} ${hint}` };
  }
}

/** What a command that failed printed as JSON; null where it did not come to that. */
function saidBy(thrown: unknown): { readonly message: string; readonly hint: string } | null {
  const { stdout = '' } = thrown as { readonly stdout?: string };
  if (!stdout.startsWith('{')) return null;
  return (JSON.parse(stdout) as { readonly error: { readonly message: string; readonly hint: string } }).error;
}

/** A few lines for a person. */
export function firstRunLines({ found, roles, unused, problem }: FirstRun): string[] {
  if (problem !== null) return [`Models were not looked for: ${problem}`, NO_MODEL].map(spoken);
  const seen = found.map(({ target, variable, models }) =>
    variable === null
      ? `Found ${target} on this machine, with ${models.slice(0, 4).join(', ')}${models.length > 4 ? ' and more' : ''}.`
      : `Found ${variable} for ${target}. It is read from the environment that the seed is started with, and kept nowhere.`,
  );
  const idle = unused.map((target) => `No role asks ${target} yet: its prices are for you to say, in the policy.`);
  if (roles.length === 0) return [...seen, ...idle, NO_MODEL].map(spoken);
  const policy = `Roles that can run: ${roles.join(', ')}. The ceilings and the rest: \`seed policy show\`. Try one: \`seed target test ${found[0]?.target ?? ''}\`.`;
  return [...seen, ...idle, policy].map(spoken);
}
