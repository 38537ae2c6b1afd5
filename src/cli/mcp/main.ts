/**
 * `seed mcp`, what an MCP client starts. The launcher comes here without passing through the rest
 * of the command line: a client starts one of these for each of its windows.
 */
import { parseArgs } from 'node:util';
import { readConfig } from '../../config.ts';
import { TOOL_SETS } from '../../doors/hello.ts';
import { SeedError, toSeedError } from '../../errors.ts';
import { AGENT_NAME_CHARS_MAX, isAgentName } from '../../substrate/identity/names.ts';

export interface McpCommandOptions {
  readonly as?: string | undefined;
  readonly home?: string | undefined;
  readonly tools?: string | undefined;
  readonly url?: string | undefined;
  readonly keyFile?: string | undefined;
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** One line for a person, where the client shows or logs what a server says. */
function say(text: string): void {
  process.stderr.write(`seed mcp: ${text.replaceAll(/\s+/g, ' ')}\n`);
}

/** Runs one `seed mcp …` command line; resolves to the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const parsed = parse(argv.slice(1));
  if (parsed !== null) return runMcp(parsed);
  // Help, and what is wrong with the arguments, the whole command says best.
  const cli = await import('../cli.ts');
  return cli.main(argv);
}

function parse(args: string[]): McpCommandOptions | null {
  try {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({ args, options: { as: text, home: text, tools: text, url: text, 'key-file': text } });
    const { as, home, tools, url, 'key-file': keyFile } = values;
    if (tools !== undefined && !TOOL_SETS.some((set) => set === tools)) return null;
    return { as, home, tools, url, keyFile };
  } catch {
    return null;
  }
}

/** Serves one client until it goes; resolves to the exit code. */
export async function runMcp(options: McpCommandOptions): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  if (process.stdin.isTTY)
    say('waits for an MCP client on standard input; `seed connect --help` sets one up. Ctrl+C ends it.');
  try {
    return await serve(options, stop.signal);
  } catch (thrown) {
    const error = toSeedError(thrown);
    say(`${error.message} ${error.hint}`);
    return error.code === 'invalid_input' ? 2 : 1;
  } finally {
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
    process.stdin.destroy();
  }
}

async function serve({ as, home, tools, url, keyFile }: McpCommandOptions, signal: AbortSignal): Promise<number> {
  const { stdin, stdout } = process;
  if (url !== undefined || keyFile !== undefined) {
    if (url === undefined || keyFile === undefined) throw invalid('--url and --key-file belong together.', 'url');
    if (as !== undefined) throw invalid('At a seed elsewhere the key says who you are; leave --as out.', 'as');
    const { runBridge } = await import('./bridge.ts');
    return runBridge({ url, keyFile, stdin, stdout, say, signal });
  }
  if (as !== undefined && !isAgentName(as)) {
    const rule = 'lower-case letters, digits, dots, dashes and underscores, and not owner or seed';
    throw invalid(`--as takes a name of 1 to ${AGENT_NAME_CHARS_MAX} ${rule}.`, 'as');
  }
  const { runPipe } = await import('./pipe.ts');
  return runPipe({
    config: readConfig({ home }),
    as: as ?? null,
    tools: TOOL_SETS.find((set) => set === tools) ?? 'daily',
    stdin,
    stdout,
    say,
    signal,
  });
}

function invalid(message: string, argument: string): SeedError {
  return new SeedError('invalid_input', message, { hint: 'See `seed mcp --help`.', data: { argument } });
}
