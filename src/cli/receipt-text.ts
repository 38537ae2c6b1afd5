/** Receipts as text: a table, a block, a CSV row. */
import type { Receipt } from '../formats/receipt.ts';
import { csvCell, printable, table } from './output.ts';

/** One line a receipt. */
export function receiptTable(receipts: readonly Receipt[]): string {
  const rows = receipts.map(({ seq, time, actor, action, outcome, code, subject }) => [
    String(seq),
    time,
    printable(actor.id),
    printable(action),
    code === null ? outcome : `${outcome} (${code})`,
    subject.type === 'seed' ? '' : printable(`${subject.type} ${subject.id}`),
  ]);
  return table(['SEQ', 'TIME', 'ACTOR', 'ACTION', 'OUTCOME', 'SUBJECT'], rows);
}

interface Contents {
  readonly input: string | null;
  readonly output: string | null;
}

/** Everything a receipt says, a line each, and its content where it is kept. */
export function receiptBlock(receipt: Receipt, contents: Contents): string {
  const { seq, time, actor, action, subject, outcome, code, of, detail, prev } = receipt;
  const facts: [string, string][] = [
    ['receipt', String(seq)],
    ['time', time],
    ['actor', `${actor.id} (${actor.kind}${actor.grant === null ? '' : `, grant ${actor.grant}`})`],
    ['action', action],
    ['subject', `${subject.type} ${subject.id}`],
    ['outcome', code === null ? outcome : `${outcome} (${code})`],
    ...(of === null ? [] : [['settles', `receipt ${of}`] as [string, string]]),
    ...Object.entries(detail).map(([name, value]): [string, string] => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
    ...contentFacts('input', receipt.input, contents.input),
    ...contentFacts('output', receipt.output, contents.output),
    ['prev', prev],
  ];
  return facts.map(([name, value]) => `${name.padEnd(10)}  ${printable(value)}`).join('\n');
}

function contentFacts(name: 'input' | 'output', hash: string | null, text: string | null): [string, string][] {
  if (hash === null) return [];
  return [
    [name, hash],
    ['', text ?? '(erased, or not kept)'],
  ];
}

const CSV_COLUMNS = [
  'seq',
  'time',
  'actor',
  'kind',
  'grant',
  'action',
  'subject_type',
  'subject_id',
  'outcome',
  'code',
  'of',
  'input',
  'output',
  'detail',
];

export function csvHeadings(): string {
  return CSV_COLUMNS.join(',');
}

export function csvLine(receipt: Receipt): string {
  const { seq, time, actor, action, subject, outcome, code, of, input, output, detail } = receipt;
  const cells = [
    seq,
    time,
    actor.id,
    actor.kind,
    actor.grant,
    action,
    subject.type,
    subject.id,
    outcome,
    code,
    of,
    input,
    output,
    JSON.stringify(detail),
  ];
  return cells.map(csvCell).join(',');
}
