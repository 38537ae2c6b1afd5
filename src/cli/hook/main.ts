/**
 * `seed hook …`, what a client runs at the start of a conversation and after each turn. The launcher comes
 * here without passing through the rest of the command line: the client waits for it.
 *
 * A hook must never be in the client's way: whatever goes wrong is one line on standard error, and the exit
 * code is 0.
 */
import { parseArgs } from 'node:util';
import { readConfig } from '../../config.ts';
import { SeedError, toSeedError } from '../../errors.ts';
import { spoken } from '../output.ts';
import type { Hook, HookOptions } from './run.ts';
import { HOOKS, runHook } from './run.ts';

/** Runs one `seed hook …` command line; resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const args = argv.slice(1);
  const parsed = parse(args);
  if (parsed !== null) return hook(parsed);
  if (!args.includes('--help') && !args.includes('-h')) {
    // To some clients an exit code of 2 means that they must not stop.
    say(
      '?',
      new SeedError('invalid_input', 'That is no hook of the seed.', { hint: spoken('See `seed hook --help`.') }),
    );
    return 0;
  }
  const cli = await import('../cli.ts');
  return cli.main(argv);
}

function say(name: string, { message, hint }: SeedError): void {
  process.stderr.write(`seed hook ${name}: ${`${message} ${hint}`.replaceAll(/\s+/g, ' ')}\n`);
}

function parse(args: string[]): (HookOptions & { readonly hook: Hook }) | null {
  try {
    const text = { type: 'string' } as const;
    // What a hook prints is for its client, which says what it takes: `--json` changes nothing.
    const options = { as: text, home: text, json: { type: 'boolean' } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const named = HOOKS.find((each) => each === positionals[0]);
    return named === undefined || positionals.length > 1 ? null : { hook: named, as: values.as, home: values.home };
  } catch {
    return null;
  }
}

/** Longer than a client waits at a start, and long enough for the first time that a large transcript is read. */
const WAIT_MS = { 'session-start': 8_000, stop: 50_000 } as const;

/** Runs one hook; resolves to 0, whatever happens. */
export async function hook({ hook: name, as = 'claude-code', home }: HookOptions & { hook: Hook }): Promise<number> {
  const timer = setTimeout(() => {
    say(name, new SeedError('daemon_failed', 'The seed took too long.', { hint: 'Look at `seed status`.' }));
    process.exit(0);
  }, WAIT_MS[name]);
  try {
    process.stdout.write(await runHook({ hook: name, as, config: readConfig({ home }), stdin: process.stdin }));
  } catch (thrown) {
    say(name, toSeedError(thrown));
  }
  clearTimeout(timer);
  // A client may keep standard input open.
  process.stdin.destroy();
  return 0;
}
