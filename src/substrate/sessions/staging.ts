/**
 * Transcripts on their way in. One may be far larger than one operation should hold in memory, so what is read is
 * staged first, without a receipt and to no effect; one operation then copies it over and leaves the receipt.
 */
import { SeedError } from '../../errors.ts';
import { newId } from '../sources.ts';
import type { Row, WriteHandle } from '../store/store.ts';
import type { Substrate } from '../substrate.ts';
import type { Message } from '../transcript.ts';
import { EMPTY_TRANSCRIPT, extendTranscript, messageHash, messageText } from '../transcript.ts';
import type { Operation } from '../operation.ts';
import { countInDoubt } from './messages.ts';
import type { Session } from './model.ts';
import { sessionOf } from './sessions.ts';

/** Messages that one import may take. */
const IMPORT_MESSAGES_MAX = 500_000;

/** Rows that are cleared at once; a message may have four mebibytes. */
const CLEAR_ROWS = 500;

/** A transcript on its way in: batches of messages, and then one operation. */
export class Staging implements AsyncDisposable {
  readonly #substrate: Substrate;
  readonly #id: string;
  readonly #base: { readonly length: number };
  #length: number;
  #running: Uint8Array;
  #calls = 0;

  private constructor(substrate: Substrate, base: Session | null) {
    this.#substrate = substrate;
    this.#id = newId(substrate.sources);
    this.#base = { length: base?.length ?? 0 };
    this.#length = this.#base.length;
    this.#running = base === null ? EMPTY_TRANSCRIPT : Buffer.from(base.runningHash, 'hex');
  }

  /** Begins behind the messages that a session has already. */
  static async open(substrate: Substrate, base: Session | null): Promise<Staging> {
    await clearStages(substrate);
    return new Staging(substrate, base);
  }

  /** Messages and tool calls staged so far. */
  get counts(): { readonly messages: number; readonly calls: number } {
    return { messages: this.#length - this.#base.length, calls: this.#calls };
  }

  /** The running hash behind what was staged, hex. */
  get hash(): string {
    return Buffer.from(this.#running).toString('hex');
  }

  /** @throws SeedError `too_large` */
  async add(messages: readonly Message[]): Promise<void> {
    if (this.counts.messages + messages.length > IMPORT_MESSAGES_MAX) {
      throw new SeedError('too_large', `The transcript has more than ${IMPORT_MESSAGES_MAX} messages.`, {
        hint: 'Import a later file of the same work.',
      });
    }
    // Outside the transaction: nothing else waits while these are written out and hashed.
    const staged = messages.map((message) => {
      const body = messageText(message);
      const hash = messageHash(body);
      this.#running = extendTranscript(this.#running, hash);
      return { index: this.#length++, body, hash, message };
    });
    this.#calls += messages.flatMap(({ parts }) => parts.filter(({ type }) => type === 'tool_call')).length;
    await this.#substrate.maintain(async (tx) => {
      for (const { index, body, hash, message } of staged) {
        await tx.run(
          'INSERT INTO substrate_staged_messages (import, idx, body, hash) VALUES (?, ?, ?, ?)',
          this.#id,
          index,
          body,
          hash,
        );
        for (const part of message.parts) {
          if (part.type === 'tool_call') {
            await tx.run(
              `INSERT INTO substrate_staged_tools (import, call, name, done) VALUES (?, ?, ?, 0)
                ON CONFLICT (import, call) DO UPDATE SET name = excluded.name, done = 0`,
              this.#id,
              part.id,
              part.name,
            );
          } else if (part.type === 'tool_result') {
            await tx.run(
              `INSERT INTO substrate_staged_tools (import, call, name, done) VALUES (?, ?, NULL, 1)
                ON CONFLICT (import, call) DO UPDATE SET done = 1`,
              this.#id,
              part.call,
            );
          }
        }
      }
    });
  }

  /**
   * Copies what was staged behind a session's messages. A call without a result is in doubt: whether it
   * was carried out, only the client that died knew. Resolves to the session, and how many are in doubt.
   */
  async land(op: Operation, session: Session): Promise<{ session: Session; inDoubt: number }> {
    const { id } = session;
    await op.run(
      `INSERT INTO substrate_session_messages (session, idx, epoch, body, hash, at)
        SELECT ?, idx, ?, body, hash, ? FROM substrate_staged_messages WHERE import = ? ORDER BY idx`,
      id,
      session.epoch,
      op.now,
      this.#id,
    );
    await op.run(
      `INSERT INTO substrate_session_tools (session, call, name, idempotency_key, state)
        SELECT ?, call, name, ? || call, CASE done WHEN 1 THEN 'done' ELSE 'in_doubt' END
          FROM substrate_staged_tools WHERE import = ? AND name IS NOT NULL
        ON CONFLICT (session, call) DO UPDATE SET name = excluded.name, state = excluded.state`,
      id,
      `${id}.`,
      this.#id,
    );
    await op.run(
      `UPDATE substrate_session_tools SET state = 'done' WHERE session = ? AND state <> 'done'
          AND call IN (SELECT call FROM substrate_staged_tools WHERE import = ? AND done = 1)`,
      id,
      this.#id,
    );
    await op.run(
      'UPDATE substrate_sessions SET length = ?, running_hash = ?, changed_at = ? WHERE id = ?',
      this.#length,
      this.#running,
      op.now,
      id,
    );
    return { session: await sessionOf(op, id), inDoubt: await countInDoubt(op, id) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await clearStages(this.#substrate);
  }
}

/**
 * One import at a time reads in a home, so whatever else is staged was left by one that was cut off. Bit by
 * bit, because others want to write in between.
 */
async function clearStages(substrate: Substrate): Promise<void> {
  for (const [table, key] of [
    ['substrate_staged_messages', 'idx'],
    ['substrate_staged_tools', 'call'],
  ] as const) {
    while (await substrate.maintain((tx) => clearSome(tx, table, key)));
  }
}

/** Clears the first rows by their primary key; resolves to whether there are more. */
async function clearSome(tx: WriteHandle, table: string, key: string): Promise<boolean> {
  const last = await tx.get<{ import: string; key: string | number } & Row>(
    `SELECT import, ${key} AS key FROM ${table} ORDER BY import, ${key} LIMIT 1 OFFSET ?`,
    CLEAR_ROWS,
  );
  if (last === undefined) await tx.run(`DELETE FROM ${table}`);
  else await tx.run(`DELETE FROM ${table} WHERE (import, ${key}) < (?, ?)`, last.import, last.key);
  return last !== undefined;
}
