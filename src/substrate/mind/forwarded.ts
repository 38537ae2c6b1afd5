/** Questions and alarms that the digestor sent on to the owner, as they stand in the owner's inbox. */
import * as z from 'zod';
import { SEED } from '../actor.ts';
import { holderOf } from '../bus/model.ts';
import { peek } from '../bus/look.ts';
import { getContent } from '../content.ts';
import type { ReadHandle } from '../store/store.ts';

/** The body of such a message. */
export const Forwarded = z.object({
  kind: z.enum(['question', 'alert']),
  from: z.string(),
  title: z.string(),
  text: z.string(),
  /** Its place in the seed's inbox, and the receipt of its sending. */
  message: z.int(),
  receipt: z.int(),
});
export type Forwarded = z.infer<typeof Forwarded>;

export interface ForwardedMessage extends Forwarded {
  readonly thread: string;
  readonly sentAt: number;
}

/** Messages of the owner's inbox that are looked at. */
const LOOKED_AT_MAX = 200;

/** Those that the owner has not settled, the oldest first. */
export async function listForwarded(
  db: ReadHandle,
  { now, limit }: { now: number; limit: number },
): Promise<ForwardedMessage[]> {
  const found: ForwardedMessage[] = [];
  for (const row of await peek(db, 'owner', { limit: LOOKED_AT_MAX, now })) {
    if (row.sender !== holderOf(SEED) || row.format !== 'json' || found.length === limit) continue;
    const body = await getContent(db, row.body);
    const told = body === null ? null : Forwarded.safeParse(JSON.parse(Buffer.from(body).toString('utf8')));
    if (told?.success === true) found.push({ ...told.data, thread: row.thread, sentAt: row.sent_at });
  }
  return found;
}
