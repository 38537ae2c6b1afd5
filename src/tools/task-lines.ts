/** What `seed_start` tells of tasks: those that somebody holds, and what it could take on. */
import type { Actor } from '../substrate/actor.ts';
import { holderOf } from '../substrate/bus/model.ts';
import { isoTime } from '../substrate/sources.ts';
import type { ReadHandle, SubstrateReader } from '../substrate/substrate.ts';
import { bodyOf, countTasks, listTasks } from '../substrate/tasks/look.ts';
import type { TaskRow } from '../substrate/tasks/model.ts';
import { principalOf } from '../substrate/tasks/principal.ts';
import { counted } from './text.ts';

const HELD_MAX = 5;

export async function taskLines(substrate: SubstrateReader, actor: Actor): Promise<string[]> {
  const { scopes } = actor;
  if (!scopes.has('task.read')) return [];
  const now = substrate.sources.now();
  const holder = holderOf(actor);
  return substrate.read(async (db) => {
    const held = await listTasks(db, { state: 'claimed', holder }, { now, limit: HELD_MAX });
    const owed: string[] = [];
    for (const task of held) owed.push(await heldLine(db, task));
    const free = scopes.has('task.write') ? await countTasks(db, { state: 'claimable' }, now) : 0;
    const notDoneBy = await principalOf(db, actor);
    const unverified = scopes.has('task.verify') ? await countTasks(db, { state: 'finished', notDoneBy }, now) : 0;
    return [
      ...owed,
      ...(free === 0 ? [] : [`${counted(free, 'open task')} could be claimed: task_list {"state":"claimable"}.`]),
      ...(unverified === 0
        ? []
        : [`${counted(unverified, 'finished task')} you could verify: task_list {"state":"finished"}.`]),
    ];
  });
}

async function heldLine(db: ReadHandle, task: TaskRow): Promise<string> {
  const { id, lease, lease_until: until, deadline } = task;
  const due = deadline === null ? '' : `, due ${isoTime(deadline)}`;
  return `You hold task ${id}: ${(await bodyOf(db, task)).title}${due}; lease ${lease} until ${isoTime(until)}: task_list {"id":"${id}"}.`;
}
