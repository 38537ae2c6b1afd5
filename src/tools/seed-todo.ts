import * as z from 'zod';
import { SEED } from '../substrate/actor.ts';
import { countDead, listDead } from '../substrate/bus/dead.ts';
import { listSenders } from '../substrate/bus/look.ts';
import { holderOf } from '../substrate/bus/model.ts';
import { alarmId, listAlarms } from '../substrate/coherence/alarms.ts';
import { findSubsystem } from '../substrate/coherence/subsystems.ts';
import { listForwarded } from '../substrate/mind/forwarded.ts';
import { listPendingRequests } from '../substrate/identity/requests.ts';
import { mayAct } from '../mind/coherence/stage.ts';
import { countUnconfirmed, listExpiring, listInDoubt } from '../substrate/owed.ts';
import { noteEditsIfServing } from '../substrate/policy/outside.ts';
import { listProbes } from '../substrate/probes/probes.ts';
import { isoTime } from '../substrate/sources.ts';
import type { ReadHandle } from '../substrate/substrate.ts';
import { bodyOf, listTasks } from '../substrate/tasks/look.ts';
import { defineTool } from './define.ts';

const DAY_MS = 86_400_000;
/** Of each kind. */
const LISTED_MAX = 50;
/** Senders that are named. */
const SENDERS_MAX = 5;
/** How long before it expires a key is told of. */
const EXPIRY_MS: number = 7 * DAY_MS;
/** A call that has been in doubt for longer is history. */
const DOUBT_MS: number = 30 * DAY_MS;

const Item = z.object({
  kind: z.enum([
    'request',
    'message',
    'task',
    'overdue',
    'call',
    'dead_letter',
    'policy',
    'key',
    'alarm',
    'probe',
    'question',
    'alert',
  ]),
  id: z.string(),
  since: z.string().nullable(),
  says: z.string(),
  todo: z.string().describe('The command that deals with it'),
});
type Item = z.infer<typeof Item>;

export const seedTodo = defineTool({
  name: 'seed_todo',
  title: 'What waits for the owner',
  description:
    'Use when you want to see what only you can settle: requests, questions, tasks to verify, calls in doubt, dead letters, policy edits, keys about to expire.',
  scope: 'seed.todo',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({ items: z.array(Item).describe(`At most ${LISTED_MAX} of each kind`), dead_letters: z.int() }),
  handler: async (_input, { substrate }) => {
    await noteEditsIfServing(substrate);
    const now = substrate.sources.now();
    return substrate.read(async (db) => ({
      items: [
        ...(await requestItems(db, now)),
        ...(await forwardedItems(db, now)),
        ...(await messageItems(db, now)),
        ...(await policyItems(db)),
        ...(await taskItems(db, now)),
        ...(await alarmItems(db)),
        ...(await probeItems(db)),
        ...(await callItems(db, now)),
        ...(await deadItems(db)),
        ...(await keyItems(db, now)),
      ],
      dead_letters: await countDead(db),
    }));
  },
});

async function requestItems(db: ReadHandle, now: number): Promise<Item[]> {
  const found = await listPendingRequests(db, now);
  return found.slice(0, LISTED_MAX).map(({ body: { id, name, scopes, reason, created } }) => ({
    kind: 'request',
    id,
    since: isoTime(created),
    says: `${name} asks for ${scopes.join(', ')}: ${reason}`,
    todo: `seed requests show ${id}`,
  }));
}

/** What somebody asked or reported by way of the seed; gone once the owner's inbox has been read. */
async function forwardedItems(db: ReadHandle, now: number): Promise<Item[]> {
  const found = await listForwarded(db, { now, limit: LISTED_MAX });
  return found.map(({ kind, from, title, thread, sentAt, hasArrived, receipt }) => {
    const item = { kind, id: thread, since: isoTime(sentAt) };
    if (kind === 'question') {
      return { ...item, says: `${from} asks: ${title}`, todo: `seed bus send ${from} "…" --thread ${thread}` };
    }
    // What had no room in the inbox can be read where its sending is on record.
    const todo = hasArrived ? 'seed bus tail' : `seed receipts show ${receipt}`;
    return { ...item, says: `${from} reports: ${title}`, todo };
  });
}

/** What others wrote to the owner, in one line; what the seed itself answers or passes on is no news, or stands above. */
async function messageItems(db: ReadHandle, now: number): Promise<Item[]> {
  const waiting = await listSenders(db, 'owner', { but: holderOf(SEED), now });
  const [oldest] = waiting;
  if (oldest === undefined) return [];
  const count = waiting.reduce((sum, sender) => sum + sender.count, 0);
  const names = waiting.slice(0, SENDERS_MAX).map(({ from }) => from);
  const more = waiting.length > SENDERS_MAX ? ' and others' : '';
  const says = `${count === 1 ? 'a message' : `${count} messages`} from ${names.join(', ')}${more}`;
  return [{ kind: 'message', id: oldest.thread, since: isoTime(oldest.sent_at), says, todo: 'seed bus tail' }];
}

async function policyItems(db: ReadHandle): Promise<Item[]> {
  const edits = await countUnconfirmed(db);
  if (edits === 0) return [];
  const says =
    edits === null
      ? 'The policy was altered, and no edit on record says how.'
      : `${edits} edit${edits === 1 ? '' : 's'} of the policy from outside ${edits === 1 ? 'counts' : 'count'} only with your word.`;
  return [{ kind: 'policy', id: 'policy', since: null, says, todo: 'seed policy ack' }];
}

async function taskItems(db: ReadHandle, now: number): Promise<Item[]> {
  const items: Item[] = [];
  // What the owner did somebody else verifies.
  const filter = { state: 'finished', notDoneBy: 'owner' } as const;
  for (const task of await listTasks(db, filter, { now, limit: LISTED_MAX })) {
    const { id, holder_name: holder, finished_at: finished } = task;
    const { title } = await bodyOf(db, task);
    const since = finished === null ? null : isoTime(finished);
    items.push({
      kind: 'task',
      id,
      since,
      says: `${holder} says this is done: ${title}`,
      todo: `seed task verify ${id}`,
    });
  }
  for (const task of await listTasks(db, { state: 'live', dueBy: now }, { now, limit: LISTED_MAX })) {
    const { id, state, deadline } = task;
    const { title } = await bodyOf(db, task);
    const since = deadline === null ? null : isoTime(deadline);
    items.push({ kind: 'overdue', id, since, says: `overdue and ${state}: ${title}`, todo: `seed task show ${id}` });
  }
  return items;
}

/** Those of which coherence tells; what it only logs waits for nobody. */
async function alarmItems(db: ReadHandle): Promise<Item[]> {
  const open = await listAlarms(db, { open: true, limit: LISTED_MAX });
  const told = open.filter(({ stage, label }) => label === null && mayAct(stage));
  return told.map((alarm) => ({
    kind: 'alarm',
    id: alarmId(alarm),
    since: isoTime(alarm.since),
    says: `${alarm.subsystem}: ${alarm.reason}`,
    todo: `seed coherence label ${alarmId(alarm)} right`,
  }));
}

/** Probes that cannot see: their work is neither well nor ill, it is unknown. Nobody misses what is finished. */
async function probeItems(db: ReadHandle): Promise<Item[]> {
  const items: Item[] = [];
  for (const { name, problem } of await listProbes(db)) {
    if (problem === null || (await findSubsystem(db, name))?.finished === true) continue;
    const says = `nobody can see what is done there. ${problem.says}`;
    items.push({ kind: 'probe', id: name, since: isoTime(problem.since), says, todo: 'seed probe list' });
  }
  return items.slice(0, LISTED_MAX);
}

async function callItems(db: ReadHandle, now: number): Promise<Item[]> {
  const found = await listInDoubt(db, { since: now - DOUBT_MS, limit: LISTED_MAX });
  return found.map(({ id, actor, role, input, created_at: at }) => ({
    kind: 'call',
    id,
    since: isoTime(at),
    says: `a call to a model for ${role}, asked by ${actor}, was cut off; how it ended is not known`,
    todo: `seed trace ${input}`,
  }));
}

async function deadItems(db: ReadHandle): Promise<Item[]> {
  const found = await listDead(db, { limit: LISTED_MAX });
  return found.map(({ inbox, seq, recipient, sender_name: from, settled_at: at, reason }) => ({
    kind: 'dead_letter',
    id: `${inbox}.${seq}`,
    since: isoTime(at),
    says: `from ${from} to ${recipient ?? 'somebody who was removed'}: ${reason ?? 'handed back too often'}`,
    todo: `seed bus dead show ${inbox}.${seq}`,
  }));
}

async function keyItems(db: ReadHandle, now: number): Promise<Item[]> {
  const found = await listExpiring(db, { now, until: now + EXPIRY_MS, limit: LISTED_MAX });
  return found.map(({ name, expires_at: at }) => ({
    kind: 'key',
    id: name,
    since: null,
    says: `the key of ${name} expires ${isoTime(at)}`,
    todo: `seed key issue ${name}-2`,
  }));
}
