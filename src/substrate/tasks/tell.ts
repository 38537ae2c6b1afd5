/**
 * Messages about tasks, in the transaction of what they tell: to who added it, who holds it, and who
 * waits on it. The seed sends them, since whoever acts need not be allowed to write to all of these.
 */
import { SEED } from '../actor.ts';
import { assertRoom, resolveAddress } from '../bus/inbox.ts';
import { RECIPIENTS_MAX } from '../bus/model.ts';
import { post } from '../bus/post.ts';
import { SeedError } from '../../errors.ts';
import { isServiceName } from '../identity/names.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { Sources } from '../sources.ts';
import { dependentsOf } from './look.ts';
import { OWNER_ID } from './machine.ts';
import type { TaskRow, TaskState } from './model.ts';

const LIFE_MS = 7 * 86_400_000;

export interface News {
  readonly task: TaskRow;
  readonly event: string;
  /** What the task is now. */
  readonly state: TaskState;
  readonly title: string;
  readonly by: string;
  readonly note: string | null;
  /** Who acts, and so knows. */
  readonly except: string;
}

/** Whose inboxes got it: to be told with `MailSignals.arrived` after the commit. */
export async function tell(op: Operation, news: News, sources: Sources): Promise<readonly string[]> {
  const { task, event, state, title, by, note, except } = news;
  const to = await reachable(op, await concerned(op, news, except));
  if (to.length === 0) return [];
  const { id, subsystem } = task;
  const body = Buffer.from(
    JSON.stringify({ task: id, event, state, title, subsystem, by, ...(note === null ? {} : { note }) }),
  );
  const { holders } = await post(
    op,
    SEED,
    { to, format: 'json', body, thread: `task:${id}`, lifeMs: LIFE_MS },
    sources,
  );
  return holders;
}

/** Those whom it concerns, by whose they are. */
async function concerned(op: Operation, { task, state }: News, except: string): Promise<string[]> {
  const found = new Set([task.adder, ...(task.holder === null ? [] : [task.holder])]);
  // Whether what they wait for is done is all that the others want to know.
  if (state === 'done' || state === 'cancelled' || task.state === 'done') {
    for (const { adder, holder } of await dependentsOf(op, task.id, op.now)) {
      found.add(adder);
      if (holder !== null) found.add(holder);
    }
  }
  found.delete(except);
  return [...found];
}

interface NameRow extends Row {
  readonly name: string;
}

/** Names of those who can get a message now: whoever is gone, or reads nothing, must not hold up the work. */
async function reachable(op: Operation, holders: readonly string[]): Promise<string[]> {
  const names: string[] = [];
  for (const holder of holders) {
    const name = await nameOf(op, holder);
    if (name !== null && names.length < RECIPIENTS_MAX && (await hasRoom(op, name))) names.push(name);
  }
  return names;
}

async function nameOf(db: ReadHandle, holder: string): Promise<string | null> {
  if (holder === OWNER_ID) return OWNER_ID;
  const row = await db.get<NameRow>('SELECT name FROM substrate_grants WHERE id = ?', holder);
  // The seed's own organs read the tasks themselves, and nobody would empty their inboxes.
  return row === undefined || isServiceName(row.name) ? null : row.name;
}

/** Whether somebody of that name could get a message of the seed now. */
export async function hasRoom(op: Operation, name: string): Promise<boolean> {
  return hadRoom(op, name, op.now);
}

/** The same, as far as that can be read. */
export async function hadRoom(db: ReadHandle, name: string, now: number): Promise<boolean> {
  try {
    const [recipient] = await resolveAddress(db, name, { sender: SEED.id, now });
    if (recipient === undefined) return false;
    const { inbox, waiting } = recipient;
    if (inbox !== null) await assertRoom(db, { name, inbox, waiting: waiting ?? 0 }, SEED.id);
    return true;
  } catch (error) {
    if (error instanceof SeedError && (error.code === 'inbox_full' || error.code === 'not_found')) return false;
    throw error;
  }
}
