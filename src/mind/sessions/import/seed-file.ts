/**
 * An exported session: JSON lines.
 *
 * The first line is a header with the session, where it stands, how many messages follow and their running
 * hash. Each line after it is one message in its canonical form (RFC 8785), byte for byte as it is kept, so
 * that SHA-256 of a line is the message's hash and H(n) = SHA-256(H(n−1) ‖ hash(n)) from 32 zero bytes leads
 * to the header's hash.
 */
import * as z from 'zod';
import { SeedError } from '../../../errors.ts';
import type { Checkpoint, Session } from '../../../substrate/sessions/model.ts';
import { CheckpointInput } from '../../../substrate/sessions/model.ts';
import { Message, messageText } from '../../../substrate/transcript.ts';
import type { Said } from './format.ts';
import { NOTHING } from './format.ts';

const Header = z.strictObject({
  type: z.literal('seed-session'),
  v: z.literal(1),
  /** The seed that wrote it. */
  seed: z.string().regex(/^[0-9a-f]{64}$/),
  session: z.string().min(1).max(100),
  origin: z.string().min(1).max(100),
  holder: z.string().max(200),
  status: z.enum(['open', 'closed']),
  created: z.string().max(40),
  changed: z.string().max(40),
  /** Where the work stands. */
  checkpoint: CheckpointInput,
  messages: z.int().min(0),
  /** The running hash over all of them, hex. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Header = z.infer<typeof Header>;

/** The header's line, without its newline. */
export function headerText(session: Session, { seed, time }: { seed: string; time: (ms: number) => string }): string {
  const header: Header = {
    type: 'seed-session',
    v: 1,
    seed,
    session: session.id,
    origin: session.origin,
    holder: session.holderName,
    status: session.status,
    created: time(session.createdAt),
    changed: time(session.changedAt),
    checkpoint: filled(session.checkpoint),
    messages: session.length,
    hash: session.runningHash,
  };
  return JSON.stringify(header);
}

/** What a checkpoint says; what it says nothing of is left out. */
function filled(checkpoint: Checkpoint): CheckpointInput {
  const members = Object.entries<Checkpoint[keyof Checkpoint]>({ ...checkpoint });
  return CheckpointInput.parse(Object.fromEntries(members.filter(([, value]) => value.length > 0)));
}

/** Reads an export and holds it to its header. */
export class SeedFileReader {
  #header: Header | null = null;
  #messages = 0;

  /** @throws SeedError `conflict` that names the first line that is not what it should be */
  read(text: string): Said {
    if (this.#header === null) {
      this.#header = parse(Header, text) ?? refuse('Its first line is not the header of an exported session.');
      return NOTHING;
    }
    this.#messages += 1;
    const line = this.#messages + 1;
    if (this.#messages > this.#header.messages) refuse(`Line ${line} is one more than the header says.`);
    const message = parse(Message, text) ?? refuse(`Line ${line} is not a message.`);
    if (messageText(message) !== text) refuse(`Line ${line} is not in canonical form.`);
    return { messages: [message] };
  }

  /** @throws SeedError `conflict` unless it is whole and its running hash is the header's */
  finish(hash: string): Header {
    const header = this.#header ?? refuse('It is empty.');
    if (this.#messages < header.messages) {
      refuse(`It ends after ${this.#messages} of ${header.messages} messages.`);
    }
    if (hash !== header.hash) refuse('Its running hash is not the one that its header says: a message was altered.');
    return header;
  }
}

function parse<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    const result = schema.safeParse(JSON.parse(text));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

function refuse(why: string): never {
  throw new SeedError('conflict', `The file is not a whole, unaltered export of a session. ${why}`, {
    hint: 'Nothing was imported. Export the session again with `seed session export`.',
    data: { argument: 'file' },
  });
}
