/** The receipt as tools show it (design of the log: `formats/receipt.ts`). */
import * as z from 'zod';
import { ACTOR_KINDS, OUTCOMES } from '../formats/receipt.ts';

const Hash = z.string().nullable();

export const ReceiptView = z.object({
  v: z.literal(1),
  seed: z.string(),
  seq: z.int(),
  prev: z.string(),
  of: z.int().nullable(),
  time: z.string(),
  actor: z.object({ id: z.string(), kind: z.enum(ACTOR_KINDS), grant: z.string().nullable() }),
  action: z.string(),
  subject: z.object({ type: z.string(), id: z.string() }),
  outcome: z.enum(OUTCOMES),
  code: z.string().nullable(),
  input: Hash,
  output: Hash,
  detail: z.record(z.string(), z.json()),
});

type ReceiptFacts = z.infer<typeof ReceiptView>;

/** A receipt in one line. */
export function receiptLine({ seq, time, actor, action, subject, outcome, code }: ReceiptFacts): string {
  // Most receipts are about the seed itself: saying so in each would be most of the list.
  const about = subject.type === 'seed' ? [] : [`${subject.type} ${subject.id}`];
  const became = code === null ? outcome : `${outcome} (${code})`;
  return [seq, time, `${actor.id} (${actor.kind})`, action, became, ...about].join('  ');
}

/** A receipt with everything in it, a line each. */
export function receiptBlock(receipt: ReceiptFacts): string {
  const { seq, seed, time, actor, action, subject, outcome, code, of, prev, input, output, detail } = receipt;
  const facts: readonly (readonly [string, string | null])[] = [
    ['outcome', code === null ? outcome : `${outcome} (${code})`],
    ['actor', `${actor.id} (${actor.kind}${actor.grant === null ? '' : `, grant ${actor.grant}`})`],
    ['action', action],
    ['subject', subject.type === 'seed' ? null : `${subject.type} ${subject.id}`],
    ['settles', of === null ? null : `receipt ${of}`],
    ['detail', Object.keys(detail).length === 0 ? null : JSON.stringify(detail)],
    ['input', input],
    ['output', output],
    ['prev', prev],
    ['seed', seed],
  ];
  const shown = facts.flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  return [`Receipt ${seq}, ${time}`, ...shown].join('\n');
}

export const Seq = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** A `seq` or a time (ISO 8601). */
export const SeqOrTime = z.union([Seq, z.string().min(1).max(40)]);
