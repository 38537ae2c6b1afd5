import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { readClientFolders } from '../../config.ts';
import { SeedError } from '../../errors.ts';
import type { TranscriptClient } from '../../mind/sessions/import/format.ts';
import { ask, withSeed } from '../ask.ts';
import { counted, printable, printJson, printLine } from '../output.ts';
import { parseSessionId, wholeSessionId } from '../session-id.ts';
import { latestTranscript } from '../transcripts.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

const SOURCES = ['claude-code', 'codex', 'seed'] as const satisfies readonly (TranscriptClient | 'seed')[];

interface ImportOptions extends CommonOptions {
  readonly from: (typeof SOURCES)[number];
  readonly latest?: boolean;
  readonly as?: string;
}

interface Imported {
  readonly session_id: string;
  readonly outcome: 'new' | 'added' | 'unchanged';
  readonly holder: string;
  readonly goal: string;
  readonly messages: number;
  readonly calls: number;
  readonly in_doubt: number;
  readonly length: number;
  readonly hash: string;
  readonly left_out: readonly string[];
  readonly torn: boolean;
  readonly receipt: number | null;
}

/** `import` and `export` of the command `session`. */
export function addSessionFiles(session: Command): void {
  const importing = session
    .command('import')
    .argument('[file]', 'the transcript')
    .description(
      'make a session of what a client wrote on this disk, or of an export; the same file again adds what is new',
    )
    .addOption(new Option('--from <source>', 'who wrote it').choices(SOURCES).makeOptionMandatory())
    .option('--latest', 'the newest one that the client keeps; of Claude Code, of this folder’s project first')
    .option('--as <agent>', 'the local agent that is to hold it; you without');
  common(importing, {
    examples: [
      'seed session import --from claude-code --latest',
      'seed session import --from codex ~/.codex/sessions/2026/11/21/rollout-2026-11-21T09-00-00-0199.jsonl',
      'seed session import --from seed session.jsonl --json',
    ],
  }).action(importSession);
  const exporting = session
    .command('export')
    .argument('<session>', 'its id; the first digits will do', parseSessionId)
    .description('write a session with its whole transcript to a file: a header, and a message a line')
    .requiredOption('--out <file>', 'a new file');
  common(exporting, { examples: ['seed session export 0f3c… --out session.jsonl'] }).action(exportSession);
}

async function importSession(named: string | undefined, options: ImportOptions): Promise<void> {
  const file = fileOf(named, options);
  const { from, as } = options;
  const done = await ask<Imported>(configOf(options), {
    tool: 'session_import',
    input: { from, file, ...(as === undefined ? {} : { as }) },
    access: 'write',
  });
  if (options.json === true) printJson({ file, ...done });
  else for (const line of importLines(file, done)) printLine(line);
}

/** @throws SeedError `invalid_input`, `not_found` */
function fileOf(named: string | undefined, { from, latest = false }: ImportOptions): string {
  if ((named === undefined) !== latest) {
    throw new SeedError('invalid_input', 'Name either a file or --latest.', {
      hint: 'See `seed session import --help`.',
      data: { argument: 'file' },
    });
  }
  if (named !== undefined) return resolve(named);
  if (from !== 'seed') return latestTranscript(from, { folders: readClientFolders(), cwd: process.cwd() });
  throw new SeedError('invalid_input', 'Exports of a seed lie wherever they were written.', {
    hint: 'Name the file.',
    data: { argument: 'latest' },
  });
}

function importLines(file: string, done: Imported): string[] {
  const {
    session_id: session,
    outcome,
    messages,
    calls,
    in_doubt: inDoubt,
    length,
    left_out: leftOut,
    torn,
    receipt,
  } = done;
  const said = {
    new: `Imported as session ${session}: ${counted(messages, 'message')} with ${counted(calls, 'tool call')}.`,
    added: `Added to session ${session}: ${counted(messages, 'message')} with ${counted(calls, 'tool call')}; it has ${length} now.`,
    unchanged: `Nothing new: session ${session} has all ${counted(length, 'message')} already.`,
  }[outcome];
  return [
    said,
    `  from      ${printable(file)}`,
    ...(done.goal === '' ? [] : [`  goal      ${printable(done.goal.split('\n', 1)[0] ?? '').slice(0, 200)}`]),
    `  held by   ${done.holder}; another agent goes on with it by handoff_accept with latest and session_id`,
    ...(inDoubt === 0
      ? []
      : [
          `  in doubt  ${counted(inDoubt, 'tool call')} without a result: find out before you repeat ${inDoubt === 1 ? 'it' : 'them'}`,
        ]),
    ...(torn ? ['  torn      the last line is not whole; it is left for the next time'] : []),
    ...leftOut.map((line) => `  left out  ${printable(line)}`),
    ...(receipt === null ? [] : [`  receipt   ${receipt}`]),
  ];
}

async function exportSession(id: string, options: CommonOptions & { readonly out: string }): Promise<void> {
  const done = await withSeed(configOf(options), { access: 'write' }, async (question) => {
    const input = { session_id: await wholeSessionId(question, id), out: resolve(options.out) };
    return question<{ out: string; messages: number; hash: string; receipt: number }>({
      tool: 'session_export',
      input,
    });
  });
  if (options.json === true) printJson(done);
  else
    printLine(
      `Wrote ${counted(done.messages, 'message')} to ${done.out}; running hash ${done.hash}. Receipt ${done.receipt}.`,
    );
}
