import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { SeedError } from '../../errors.ts';
import type { Receipt } from '../../formats/receipt.ts';
import { OUTCOMES } from '../../formats/receipt.ts';
import { homePath } from '../../substrate/home/layout.ts';
import { ask, withSeed } from '../ask.ts';
import { EXIT, printJson, printLine, printLines, progressLine, spokenExample } from '../output.ts';
import { csvHeadings, csvLine, receiptBlock, receiptTable } from '../receipt-text.ts';
import { shellLine } from '../shell.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf, parsePath } from './shared.ts';

const PAGE_LIMIT = 200;

export function addReceipts(program: Command): void {
  const receipts = program
    .command('receipts')
    .description('what was done here: list, prove, export and verify receipts');
  addList(receipts);
  const show = receipts
    .command('show')
    .argument('<seq>', 'receipt number', parseSeq)
    .description('one receipt, with its content where it is kept');
  common(show, { examples: ['seed receipts show 17', 'seed receipts show 17 --json'] }).action(showReceipt);
  const prove = receipts
    .command('prove')
    .argument('<seq>', 'receipt number', parseSeq)
    .description('a self-contained proof of one receipt (C2SP tlog-proof)');
  common(prove, {
    examples: ['seed receipts prove 17 > 17.tlog-proof', 'seed receipts verify 17.tlog-proof --root 1.json'],
  }).action(proveReceipt);
  const checkpoint = receipts
    .command('checkpoint')
    .description('the newest checkpoint, a signed note; keep it, and no one can cut the log unseen');
  common(checkpoint, {
    examples: ['seed receipts checkpoint > checkpoint-2026-11-21', 'seed receipts checkpoint --json'],
  }).action(printCheckpoint);
  const note = receipts
    .command('note')
    .argument('<text>', 'what was done; kept beside the receipt, and can be erased')
    .description('record something done elsewhere, as claimed')
    .option('--action <name>', 'what kind of thing it was, such as deploy.finished (default: note.claim)');
  common(note, {
    examples: ['seed receipts note "rotated the backup disk"', 'seed receipts note --action deploy.finished "v1.4"'],
  }).action(noteText);
  const erase = receipts
    .command('erase')
    .argument('<seq>', 'receipt number', parseSeq)
    .description('erase the content of a receipt; the receipt stays (owner act)');
  common(erase, {
    examples: ['seed receipts erase 17'],
    exits: { failed: 'refused: nothing to erase, or not the owner passphrase' },
  }).action(eraseContent);
  const exporting = receipts
    .command('export')
    .description('write all receipts to a folder that verifies on any machine')
    .requiredOption('--out <dir>', 'a folder that does not exist yet', parsePath);
  common(exporting, {
    examples: ['seed receipts export --out ./receipts'],
    exits: { failed: 'failed; nothing is left behind' },
  }).action(exportReceipts);
  addVerify(receipts);
  const accept = receipts
    .command('accept-rollback')
    .description('take a log that is older than its outside checkpoint for the truth (owner act)');
  common(accept, {
    examples: ['seed receipts accept-rollback'],
    exits: { failed: 'refused: the log is in order, or not the owner passphrase' },
  }).action(acceptLog);
}

function parseSeq(text: string): number {
  const seq = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(seq)) return seq;
  throw new InvalidArgumentError(`A receipt number is a whole number from 0 to ${Number.MAX_SAFE_INTEGER}.`);
}

const LIMIT_MAX = 999_999_999;
/** A table or one JSON text is put together before it is printed; CSV goes out page by page. */
const LIMIT_AT_ONCE_MAX = 100_000;

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d{1,16}$/.test(text) && limit > 0 && limit <= LIMIT_MAX) return limit;
  throw new InvalidArgumentError(`A limit is a whole number from 1 to ${LIMIT_MAX}.`);
}

interface ListOptions extends CommonOptions {
  readonly from?: number | string;
  readonly to?: number | string;
  readonly actor?: string;
  readonly action?: string;
  readonly outcome?: string;
  readonly limit?: number;
  readonly oldest?: boolean;
  readonly cursor?: number;
  readonly csv?: boolean;
}

/** A receipt number where it looks like one, else a time for the tool to judge. */
function seqOrTime(text: string): number | string {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

function addList(receipts: Command): void {
  const list = receipts
    .command('list')
    .description('the newest receipts, or those that match')
    .option('--from <seq|time>', 'from this number or time', seqOrTime)
    .option('--to <seq|time>', 'up to this number or time', seqOrTime)
    .option('--actor <id>', 'by this actor')
    .option('--action <name>', 'of this action, such as receipt.note')
    .addOption(new Option('--outcome <outcome>', 'with this outcome').choices(OUTCOMES))
    .option('--limit <n>', 'how many at most (default: 20; all of them with --csv)', parseLimit)
    .option('--oldest', 'oldest first')
    .option('--cursor <seq>', 'go on after a page that ended with this next_cursor', parseSeq)
    .addOption(new Option('--csv', 'print CSV').conflicts('json'));
  common(list, {
    examples: [
      'seed receipts list --from 2026-11-01 --outcome refused',
      'seed receipts list --actor cursor --csv > cursor.csv',
      'seed receipts list --json --limit 5',
    ],
  }).action(listReceipts);
}

interface Page {
  readonly receipts: readonly Receipt[];
  readonly next_cursor: number | null;
}

/** All pages up to `limit` receipts, one after the other. */
async function eachPage(
  options: ListOptions,
  limit: number,
  onPage: (page: Page) => void | Promise<void>,
): Promise<void> {
  const { from, to, actor, action, outcome, oldest } = options;
  const filter = { from, to, actor, action, outcome, order: oldest === true ? 'oldest' : 'newest' };
  await withSeed(configOf(options), { access: 'read' }, async (question) => {
    let left = limit;
    let cursor: number | null | undefined = options.cursor;
    do {
      const page: Page = await question<Page>({
        tool: 'receipt_list',
        input: { ...filter, limit: Math.min(left, PAGE_LIMIT), cursor },
      });
      await onPage(page);
      left -= page.receipts.length;
      cursor = page.next_cursor;
    } while (cursor !== null && left > 0);
  });
}

async function listReceipts(options: ListOptions): Promise<void> {
  const limit = options.limit ?? (options.csv === true ? Number.POSITIVE_INFINITY : 20);
  if (options.csv === true) {
    printLine(csvHeadings());
    await eachPage(options, limit, ({ receipts }) => printLines(receipts.map(csvLine)));
    return;
  }
  if (limit > LIMIT_AT_ONCE_MAX) {
    throw new SeedError('invalid_input', `Up to ${LIMIT_AT_ONCE_MAX} receipts are listed at once.`, {
      hint: 'Ask for fewer, or add --csv, which lists as many as there are.',
    });
  }
  const receipts: Receipt[] = [];
  let next: number | null = null;
  await eachPage(options, limit, (page) => {
    receipts.push(...page.receipts);
    next = page.next_cursor;
  });
  if (options.json === true) {
    printJson({ receipts, next_cursor: next });
    return;
  }
  printLine(receipts.length === 0 ? 'No receipts match.' : receiptTable(receipts));
  if (next !== null)
    printLine(
      `There are more: add --limit ${Math.min(limit * 10, LIMIT_AT_ONCE_MAX)}, or --cursor ${String(next)} to go on.`,
    );
}

interface Content {
  readonly text: string;
  readonly cut: boolean;
}

async function showReceipt(seq: number, options: CommonOptions): Promise<void> {
  const answer = await ask<{ receipt: Receipt; input: Content | null; output: Content | null }>(configOf(options), {
    tool: 'receipt_get',
    input: { seq },
    access: 'read',
  });
  if (options.json === true) printJson(answer);
  else
    printLine(receiptBlock(answer.receipt, { input: contentText(answer.input), output: contentText(answer.output) }));
}

function contentText(content: Content | null): string | null {
  if (content === null) return null;
  return content.cut ? `${content.text}… (cut here; it is longer)` : content.text;
}

async function proveReceipt(seq: number, options: CommonOptions): Promise<void> {
  const answer = await ask<{ proof: string }>(configOf(options), {
    tool: 'receipt_prove',
    input: { seq },
    access: 'read',
  });
  if (options.json === true) printJson(answer);
  else process.stdout.write(answer.proof);
}

async function printCheckpoint(options: CommonOptions): Promise<void> {
  const answer = await ask<{ checkpoint: string; size: number }>(configOf(options), {
    tool: 'receipt_checkpoint',
    access: 'read',
  });
  if (options.json === true) printJson(answer);
  else process.stdout.write(answer.checkpoint);
}

async function noteText(text: string, options: CommonOptions & { readonly action?: string }): Promise<void> {
  const answer = await ask<{ receipt: number }>(configOf(options), {
    tool: 'receipt_note',
    input: { text, action: options.action },
    access: 'write',
  });
  if (options.json === true) printJson(answer);
  else printLine(`Noted as receipt ${answer.receipt}.`);
}

async function eraseContent(seq: number, options: CommonOptions): Promise<void> {
  const answer = await ask<{ receipt: number; erased: number }>(configOf(options), {
    tool: 'receipt_erase',
    input: { seq },
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson(answer);
  else printLine(`Erased the content of receipt ${seq}; receipt ${answer.receipt} says so.`);
}

async function acceptLog(options: CommonOptions): Promise<void> {
  const answer = await ask<{ receipt: number; accepted: string }>(configOf(options), {
    tool: 'log_accept',
    access: 'write',
    ownerAct: true,
  });
  if (options.json === true) printJson(answer);
  else printLine(`The log as it is now counts; receipt ${answer.receipt} says so.`);
}

async function exportReceipts(options: CommonOptions & { readonly out: string }): Promise<void> {
  const config = configOf(options);
  const input = { out: resolve(options.out) };
  const answer = await ask<{ out: string; receipts: number; receipt: number | null }>(config, {
    tool: 'receipt_export',
    input,
    access: 'write',
  });
  if (options.json === true) {
    printJson(answer);
    return;
  }
  printLine(`Wrote ${answer.receipts} receipts to ${answer.out}.`);
  printLine('Verify them here, or on another machine with a copy of the root of trust that you kept:');
  const root = join(homePath(config.home, 'root'), '1.json');
  printLine(`  ${spokenExample('seed receipts verify')} ${shellLine([answer.out, '--root', root])}`);
}

interface VerifyOptions extends CommonOptions {
  readonly root?: string;
  readonly checkpoint?: string;
}

function addVerify(receipts: Command): void {
  const verify = receipts
    .command('verify')
    .argument('<path>', 'an exported folder, or a .tlog-proof file')
    .description('check an export or a proof, offline')
    .option('--root <file>', 'the root of trust as you got it from elsewhere', parsePath)
    .option('--checkpoint <file>', 'a checkpoint that you kept: proves that the log continues it', parsePath);
  common(verify, {
    examples: [
      'seed receipts verify ./receipts --root 1.json',
      'seed receipts verify ./receipts --root 1.json --checkpoint checkpoint-2026-11-21',
      'seed receipts verify 17.tlog-proof --root 1.json',
    ],
    exits: {
      ok: 'proven: whole, and signed under the root of trust that --root names',
      failed: 'broken, or a file cannot be read',
      unproven: 'consistent: it fits together, but where it comes from is not proven without --root',
    },
  }).action(verifyPath);
}

async function verifyPath(path: string, options: VerifyOptions): Promise<void> {
  const { verifyExportOrProof } = await import('../verify-path.ts');
  const progress = progressLine();
  const onBytes = (done: number, total: number): void => progress.show(done, total, 'bytes');
  const verdict = await verifyExportOrProof(path, options, onBytes).finally(progress.end);
  process.exitCode = { proven: EXIT.ok, consistent: EXIT.unproven, broken: EXIT.failed }[verdict.verdict];
  if (options.json === true) printJson(verdict);
  else printLine(verdict.says);
}
