/**
 * What the digestor tells the owner: at once where the owner's inbox has room, else as soon as it has. A message
 * that nobody can be told of now must not stay in the seed's inbox, or a flood of them would close it for all.
 */
import type { Actor } from '../../../substrate/actor.ts';
import { OWNER, SEED } from '../../../substrate/actor.ts';
import { KEPT_MS, LIFE_MS_MAX } from '../../../substrate/bus/model.ts';
import { SEED_INBOX } from '../../../substrate/bus/inbox.ts';
import { post } from '../../../substrate/bus/post.ts';
import { getContent, putContent } from '../../../substrate/content.ts';
import type { Forwarded } from '../../../substrate/mind/forwarded.ts';
import { listUntold, noteTold } from '../../../substrate/mind/forwarded.ts';
import type { Operation, ReadHandle, Substrate } from '../../../substrate/substrate.ts';
import { hadRoom, hasRoom } from '../../../substrate/tasks/tell.ts';

/** Told in one run, and looked at. */
const LATE_MAX = 64;

export interface Told {
  /** Whose inboxes got it. */
  readonly holders: readonly string[];
  /** The hash of what the owner is told later; null where it was told. */
  readonly untold: string | null;
}

/** Tells the owner in the thread that it came in, so that an answer finds its way. */
export async function tellOrKeep(
  op: Operation,
  { told, thread }: { told: Forwarded; thread: string },
  { sources }: Pick<Substrate, 'sources'>,
): Promise<Told> {
  const body = Buffer.from(JSON.stringify(told));
  if (!(await hasRoom(op, OWNER.id))) {
    const eraseAt = op.now + LIFE_MS_MAX + KEPT_MS;
    return { holders: [], untold: await putContent(op, body, { sources, eraseAt }) };
  }
  const { holders } = await post(op, SEED, { to: [OWNER.id], format: 'json', body, thread }, sources);
  return { holders, untold: null };
}

/** How many the owner could be told of now that it could not be told of before. */
export async function countLate(db: ReadHandle, now: number): Promise<number> {
  const late = await listUntold(db, LATE_MAX);
  return late.length > 0 && (await hadRoom(db, OWNER.id, now)) ? late.length : 0;
}

/** Tells the owner what there was no room for, the oldest first, as far as there is room now. */
export async function tellLate(substrate: Substrate, actor: Actor, signal: AbortSignal): Promise<number> {
  const late = await substrate.read((db) => listUntold(db, LATE_MAX));
  let count = 0;
  for (const { seq, thread, body } of late) {
    if (signal.aborted) break;
    const { value } = await substrate.operate({ action: 'mind.tell', actor }, async (op) => {
      const subject = { type: 'message', id: `${SEED_INBOX}.${seq}` };
      op.receipt({ subject });
      const content = await getContent(op, body);
      if (content !== null && !(await hasRoom(op, OWNER.id))) return null;
      await noteTold(op, seq);
      // What was erased meanwhile is nothing to tell any more.
      if (content === null) return [];
      const draft = { to: [OWNER.id], format: 'json', body: content, thread } as const;
      const { holders } = await post(op, SEED, draft, substrate.sources);
      op.receipt({ subject });
      return holders;
    });
    if (value === null) break;
    substrate.mail.arrived(value);
    count += 1;
  }
  return count;
}
