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

export const Seq = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** A `seq` or a time (ISO 8601). */
export const SeqOrTime = z.union([Seq, z.string().min(1).max(40)]);
