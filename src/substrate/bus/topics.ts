/** Topics: a name that inboxes follow. It exists as long as somebody follows it. */
import type { ReadHandle, Row, WriteHandle } from '../store/store.ts';
import { SeedError } from '../../errors.ts';

/** Topics that one inbox may follow. */
const TOPICS_PER_INBOX_MAX = 100;

interface TopicRow extends Row {
  readonly topic: string;
}

/** What an inbox follows, by name. */
export async function topicsOf(db: ReadHandle, inbox: number): Promise<string[]> {
  const rows = await db.all<TopicRow>('SELECT topic FROM substrate_topics WHERE inbox = ? ORDER BY topic', inbox);
  return rows.map(({ topic }) => topic);
}

/** Follows a topic, from the next message on. Following twice is following once. */
export async function follow(tx: WriteHandle, inbox: number, topic: string): Promise<void> {
  const followed = await topicsOf(tx, inbox);
  if (followed.includes(topic)) return;
  if (followed.length >= TOPICS_PER_INBOX_MAX) {
    throw new SeedError('too_many', `topic: You follow ${TOPICS_PER_INBOX_MAX} topics already.`, {
      hint: 'Leave one first, with leave: true.',
      data: { argument: 'topic' },
    });
  }
  await tx.run('INSERT INTO substrate_topics (topic, inbox) VALUES (?, ?)', topic, inbox);
}

/** Leaves a topic; what came by it before stays. */
export async function leave(tx: WriteHandle, inbox: number, topic: string): Promise<void> {
  await tx.run('DELETE FROM substrate_topics WHERE topic = ? AND inbox = ?', topic, inbox);
}
