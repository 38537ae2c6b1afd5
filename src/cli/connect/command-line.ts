/**
 * The command line by which a client starts `seed mcp`, with absolute paths throughout: programs
 * started from a desktop do not have the shell's environment, nor its PATH.
 */
import { existsSync, realpathSync } from 'node:fs';
import { LAUNCHER } from '../launcher.ts';
import { shellLine } from '../shell.ts';

/** What an MCP client's configuration says of a server that it starts. */
export interface ServerEntry {
  readonly type?: 'stdio';
  readonly command: string;
  readonly args: readonly string[];
}

/** The entry for a client whose agent is called `as`. */
export function serverEntry({ as, home, saysType }: { as: string; home: string; saysType: boolean }): ServerEntry {
  const args = [LAUNCHER, 'mcp', '--as', as, '--home', home];
  return { ...(saysType ? { type: 'stdio' as const } : {}), command: nodeBinary(process.execPath), args };
}

/** The command line of a hook, for a POSIX shell: that is what clients run hooks with. */
export function hookCommand(hook: string, { as, home }: { as: string; home: string }): string {
  return shellLine([nodeBinary(process.execPath), LAUNCHER, 'hook', hook, '--as', as, '--home', home]);
}

/** Whether a command line runs a hook of a seed, of this or another installation. */
export function runsSeedHook(command: unknown): boolean {
  return typeof command === 'string' && /(?:^|[/\\ ])seed(?:\.cjs)?'? hook (?:session-start|stop)\b/.test(command);
}

/**
 * The running Node by a path that stays: Homebrew keeps each version in a folder of its own and
 * removes it at the next upgrade, behind a link that does not move.
 */
export function nodeBinary(path: string): string {
  const [, prefix, formula] = /^(.*)\/Cellar\/(node(?:@\d+)?)\/[^/]+\/bin\/node$/.exec(path) ?? [];
  if (prefix === undefined) return path;
  const link = `${prefix}/opt/${formula}/bin/node`;
  return existsSync(link) && realpathSync(link) === realpathSync(path) ? link : path;
}

/** Whether this program lies in a cache that is cleared now and then, as with `npx sovereign-seed`. */
export function isTemporary(path: string = LAUNCHER): boolean {
  return /[/\\]_npx[/\\]/.test(path);
}

/** Whether an entry starts a seed, of this or another installation. */
export function startsSeed(entry: unknown): boolean {
  if (typeof entry !== 'object' || entry === null) return false;
  const { command, args } = entry as { command?: unknown; args?: unknown };
  if (typeof command !== 'string' || !Array.isArray(args) || !args.includes('mcp')) return false;
  return [command, ...(args as unknown[])].some(
    (word) => typeof word === 'string' && /(^|[/\\])seed(\.cjs)?$/.test(word),
  );
}
