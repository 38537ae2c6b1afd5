/** Messages and addresses as tools take and show them. */
import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { BodyFormat } from '../substrate/bus/model.ts';
import { isoTime } from '../substrate/sources.ts';

const NAME = '[a-z0-9][a-z0-9._-]{0,63}';

export const Address = z
  .string()
  .max(80)
  .regex(new RegExp(`^(?:topic:)?${NAME}$`), 'a name such as reviewer, owner, or topic:NAME');

export const Topic = z
  .string()
  .max(64)
  .regex(new RegExp(`^${NAME}$`), 'a name such as builds');

export const Thread = z
  .string()
  .max(100)
  .regex(/^[A-Za-z0-9][\w.:/-]*$/, 'letters, digits and . _ : / - only');

/** A message as its recipient is shown it. */
export const MessageView = z.object({
  id: z.string(),
  from: z.string(),
  thread: z.string(),
  sent: z.string(),
  text: z.string().optional(),
  data: z.unknown().optional(),
  receipt: z.int(),
});
export type MessageView = z.infer<typeof MessageView>;

interface Viewed {
  readonly id: string;
  readonly from: string;
  readonly thread: string;
  readonly sent_at: number;
  readonly receipt: number;
  readonly format: BodyFormat;
  readonly content: Uint8Array | null;
}

/** `text` or `data`, as it was sent; neither where the content was erased. */
export function viewMessage({ id, from, thread, sent_at: sentAt, receipt, ...body }: Viewed): MessageView {
  return { id, from, thread, sent: isoTime(sentAt), ...viewBody(body), receipt };
}

export function viewBody({ format, content }: Pick<Viewed, 'format' | 'content'>): { text?: string; data?: unknown } {
  if (content === null) return {};
  const text = Buffer.from(content).toString('utf8');
  return format === 'json' ? { data: JSON.parse(text) as unknown } : { text };
}

/** A body in words. */
export function bodyText({ text, data }: Pick<MessageView, 'text' | 'data'>): string {
  if (text !== undefined) return text;
  return data === undefined ? '(its content was erased)' : JSON.stringify(data);
}

/** A message in words. */
export function messageBlock({ id, from, thread, sent, ...body }: MessageView): string {
  return `${id} from ${from}, ${sent}, thread ${thread}:\n${bodyText(body)}`;
}

/** The id of a delivery: the place in the inbox, and the how-manieth delivery of it. */
export function deliveryId({ seq, lease }: { seq: number; lease: number }): string {
  return `${seq}.${lease}`;
}

export const DeliveryId = z
  .string()
  .max(32)
  .regex(/^\d{1,15}\.\d{1,9}$/, 'an id as bus_receive gave it, such as 17.1');

/** Two numbers joined by a dot. */
export function parsePair(id: string): [number, number] {
  const [first, second] = id.split('.').map(Number);
  if (first === undefined || second === undefined || Number.isNaN(first + second)) {
    throw new SeedError('invalid_input', `"${id}" is not an id of a message.`, { hint: 'Give it as it was shown.' });
  }
  return [first, second];
}
