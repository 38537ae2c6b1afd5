/** What the hooks do: they ask the daemon at the owner's door, whose user's client runs them. */
import * as z from 'zod';
import type { Config } from '../../config.ts';
import { SeedError } from '../../errors.ts';
import { readSettings } from '../../substrate/home/settings.ts';
import { socketPaths } from '../../substrate/home/sockets.ts';
import { printable } from '../output.ts';
import { callOwnerDoor } from '../owner-client.ts';

export const HOOKS = ['session-start', 'stop'] as const;
export type Hook = (typeof HOOKS)[number];

export interface HookOptions {
  readonly as?: string | undefined;
  readonly home?: string | undefined;
}

const INPUT_BYTES_MAX = 1024 * 1024;
/** Lines that a conversation begins with; seed_start tells the rest. */
const LINES_MAX = 8;

/** What Claude Code hands a hook on standard input, as far as it is needed. */
const Input = z.looseObject({
  /** `startup`, `resume`, `clear` or `compact`, at a start. */
  source: z.string().max(100).optional(),
  transcript_path: z.string().min(1).max(4_096).optional(),
});

const Waiting = z.object({ waiting: z.array(z.string().max(2_000)).max(100) });

export interface HookRun {
  readonly hook: Hook;
  readonly as: string;
  readonly config: Config;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
}

/** Runs a hook; resolves to what the client is to be told, if anything. @throws SeedError */
export async function runHook({ hook, as, config, stdin }: HookRun): Promise<string> {
  const input = await readInput(stdin);
  const ask = (tool: string, given: unknown): Promise<unknown> =>
    callOwnerDoor(socketOf(config), { tool, input: given }, () => {}, { home: config.home });
  if (hook === 'session-start') {
    // A conversation that was only compacted has been told already.
    return input.source === 'compact' ? '' : startText(Waiting.parse(await ask('agent_waiting', { as })).waiting);
  }
  if (input.transcript_path === undefined) {
    throw new SeedError('invalid_input', 'The client did not say where its transcript is (transcript_path).', {
      hint: 'This hook is for the event Stop of Claude Code.',
    });
  }
  await ask('session_import', { from: 'claude-code', file: input.transcript_path, as });
  return '';
}

function socketOf({ home }: Config): string {
  return socketPaths(home, readSettings(home).sockets).owner;
}

function startText(waiting: readonly string[]): string {
  if (waiting.length === 0) return '';
  const shown = waiting.slice(0, LINES_MAX).map((line) => `- ${printable(line)}`);
  const more = waiting.length > LINES_MAX ? [`- and ${waiting.length - LINES_MAX} more`] : [];
  return `${['In your seed this waits for you (seed_start tells more):', ...shown, ...more].join('\n')}\n`;
}

async function readInput(stdin: HookRun['stdin']): Promise<z.infer<typeof Input>> {
  if (stdin.isTTY === true) {
    throw new SeedError('invalid_input', 'A hook is run by a client, with JSON on standard input.', {
      hint: '`seed connect claude-code --hooks` sets it up.',
    });
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const piece = Buffer.from(chunk);
    bytes += piece.length;
    if (bytes > INPUT_BYTES_MAX) break;
    chunks.push(piece);
  }
  const parsed = Input.safeParse(bytes > INPUT_BYTES_MAX ? null : parseJson(Buffer.concat(chunks).toString('utf8')));
  if (parsed.success) return parsed.data;
  throw new SeedError('invalid_input', 'What the client sent is not the input of a hook.', {
    hint: 'Hooks take one JSON object on standard input.',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
