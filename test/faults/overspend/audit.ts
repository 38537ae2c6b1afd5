/** What a run left behind, held against the provider's journal: the log, the ledger and its sums. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Receipt } from '../../../src/formats/receipt.ts';
import { parseReceipt } from '../../../src/formats/receipt.ts';
import { getContent } from '../../../src/substrate/content.ts';
import type { ReadHandle, Row, Substrate } from '../../../src/substrate/substrate.ts';
import { openAgain, verifyExport } from '../../support/home.ts';
import type { Limit } from './plan.ts';
import { taskIn, TIMEZONE } from './plan.ts';
import type { Entry } from './provider.ts';
import type { Attempt, Replay } from './replay.ts';
import { replay } from './replay.ts';

const PROVIDER_OF: Readonly<Record<string, string>> = { one: 'anthropic', two: 'nvidia' };

export interface Audit extends Replay {
  readonly verdict: string;
  /** Requests at the provider without exactly one intent before them, and the other way round. */
  readonly unmatched: readonly string[];
  /** Attempts whose ledger row says something else than their receipts, or less than the provider charges. */
  readonly wrongRows: readonly string[];
  /** Sums of `substrate_spending` that are not the sum of the ledger's rows. */
  readonly wrongSums: readonly string[];
  readonly ledgerMicroUsd: number;
  readonly journalMicroUsd: number;
  /** Attempts that were settled with the usage that the provider reported. */
  readonly settledAsReported: number;
  /** Attempts that a killed daemon left open, settled in full by the next. */
  readonly recovered: number;
}

interface LedgerRow extends Row {
  readonly receipt: number;
  readonly day: string;
  readonly role: string;
  readonly agent: string;
  readonly labels: string;
  readonly target: string;
  readonly model: string;
  readonly bound_micro_usd: number;
  readonly cost_micro_usd: number | null;
  readonly usage: string | null;
}

export async function audit(
  home: string,
  { out, limits, journal = [] }: { out: string; limits: readonly Limit[]; journal?: readonly Entry[] },
): Promise<Audit> {
  await using seed = await openAgain(home);
  const { verdict } = await verifyExport(seed.substrate, { out, pinnedRoot: seed.pinnedRoot });
  const lines = readFileSync(join(out, 'receipts.jsonl'), 'utf8').trimEnd().split('\n');
  const read = replay(lines.map(parseReceipt), limits, TIMEZONE);
  const tasks = await tasksOf(seed.substrate, read.attempts);
  const rows = await seed.substrate.read((db) => db.all<LedgerRow>('SELECT * FROM substrate_ledger ORDER BY receipt'));
  const entries = new Map(journal.map((entry) => [`${entry.task} ${entry.provider}`, entry]));
  const held = rows.filter(({ cost_micro_usd: cost }) => cost === null);
  return {
    ...read,
    held: read.held + held.reduce((sum, row) => sum + row.bound_micro_usd, 0),
    verdict,
    unmatched: unmatched(journal, read.attempts, tasks),
    wrongRows: wrongRows(rows, { attempts: read.attempts, tasks, entries }),
    wrongSums: await seed.substrate.read((db) => wrongSums(db, rows)),
    ledgerMicroUsd: rows.reduce((sum, row) => sum + (row.cost_micro_usd ?? 0), 0),
    journalMicroUsd: journal.reduce((sum, { charged }) => sum + charged, 0),
    settledAsReported: rows.filter(({ usage }) => usage !== null).length,
    recovered: read.attempts.filter(({ outcome }) => outcome?.code === 'interrupted').length,
  };
}

/** The task of each attempt, from the content that its intent stands for. */
async function tasksOf(substrate: Substrate, attempts: readonly Attempt[]): Promise<ReadonlyMap<Receipt, string>> {
  const tasks = new Map<Receipt, string>();
  for (const { intent } of attempts) {
    const content = await substrate.read((db) => getContent(db, intent.input ?? ''));
    tasks.set(intent, taskIn(Buffer.from(content ?? []).toString()));
  }
  return tasks;
}

/** What stands for an attempt on both sides: no two of a run have the same. */
function keyOf(attempt: Attempt, tasks: ReadonlyMap<Receipt, string>): string {
  const { target } = attempt.intent.detail;
  return `${tasks.get(attempt.intent)} ${PROVIDER_OF[typeof target === 'string' ? target : '']}`;
}

function unmatched(
  journal: readonly Entry[],
  attempts: readonly Attempt[],
  tasks: ReadonlyMap<Receipt, string>,
): string[] {
  const intents = new Map<string, number>();
  const wrong: string[] = [];
  for (const attempt of attempts) {
    const key = keyOf(attempt, tasks);
    if (intents.has(key)) wrong.push(`${key}: a second intent, ${attempt.intent.seq}`);
    intents.set(key, attempt.intent.seq);
    if (attempt.outcome === null) wrong.push(`${key}: intent ${attempt.intent.seq} has no outcome`);
  }
  const arrived = new Set<string>();
  for (const { task, provider, newest } of journal) {
    const key = `${task} ${provider}`;
    const intent = intents.get(key);
    if (arrived.has(key)) wrong.push(`${key}: arrived twice`);
    if (intent === undefined) wrong.push(`${key}: arrived without an intent`);
    else if (intent > newest) wrong.push(`${key}: arrived at ${newest}, before its intent ${intent}`);
    arrived.add(key);
  }
  return wrong;
}

function wrongRows(
  rows: readonly LedgerRow[],
  facts: {
    attempts: readonly Attempt[];
    tasks: ReadonlyMap<Receipt, string>;
    entries: ReadonlyMap<string, Entry>;
  },
): string[] {
  const { attempts, tasks, entries } = facts;
  const bySeq = new Map(attempts.map((attempt) => [attempt.intent.seq, attempt]));
  const wrong = rows.length === attempts.length ? [] : [`${rows.length} rows for ${attempts.length} intents`];
  for (const row of rows) {
    const { receipt, bound_micro_usd: bound, cost_micro_usd: cost, usage } = row;
    const attempt = bySeq.get(receipt);
    const same = attempt?.bound === bound && attempt.cost === cost && attempt.intent.detail['target'] === row.target;
    if (attempt === undefined || !same) {
      wrong.push(`row of ${receipt}: ${bound}, ${cost}; its receipts: ${attempt?.bound}, ${attempt?.cost}`);
      continue;
    }
    const entry = entries.get(keyOf(attempt, tasks));
    // What never arrived may cost something here all the same: nobody could know.
    if (entry === undefined) continue;
    if ((cost ?? 0) < entry.charged) wrong.push(`row of ${receipt}: ${cost}, below ${entry.charged}`);
    if (usage !== null && cost !== entry.charged) wrong.push(`row of ${receipt}: ${cost}, not ${entry.charged}`);
    if (usage !== null && !entry.reported) wrong.push(`row of ${receipt}: has a usage that was never reported`);
  }
  return wrong;
}

async function wrongSums(db: ReadHandle, rows: readonly LedgerRow[]): Promise<string[]> {
  const expected = new Map<string, number>();
  for (const { day, role, agent, labels, target, model, cost_micro_usd: cost } of rows) {
    const named = Object.entries(JSON.parse(labels) as Record<string, string>);
    const scopes = ['seed', `role:${role}`, `agent:${agent}`, `model:${target}/${model}`];
    for (const [key, value] of named) scopes.push(`label:${key}`, `label:${key}=${value}`);
    for (const scope of scopes) {
      const key = `${scope} ${day}`;
      expected.set(key, (expected.get(key) ?? 0) + (cost ?? 0));
    }
  }
  const sums = await db.all<{ scope: string; day: string; spent: number; held: number } & Row>(
    'SELECT scope, day, spent_micro_usd AS spent, held_micro_usd AS held FROM substrate_spending',
  );
  const wrong = sums
    .filter(({ scope, day, spent, held }) => held !== 0 || spent !== expected.get(`${scope} ${day}`))
    .map(({ scope, day, spent, held }) => `${scope} ${day}: ${spent} spent, ${held} held`);
  return sums.length === expected.size ? wrong : [...wrong, `${sums.length} sums, not ${expected.size}`];
}
