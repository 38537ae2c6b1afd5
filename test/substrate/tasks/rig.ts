/** Workers with grants of their own, and tasks in few words. */
import type { Actor } from '../../../src/substrate/actor.ts';
import { findTask } from '../../../src/substrate/tasks/look.ts';
import type { TaskRow } from '../../../src/substrate/tasks/model.ts';
import type { TaskAct, TaskChange, TaskDraft, TaskRequest } from '../../../src/substrate/tasks/tasks.ts';
import { addTask, changeTask } from '../../../src/substrate/tasks/tasks.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';
import type { MakeGrant } from '../bus/rig.ts';
import { letIn } from '../bus/rig.ts';

export const LEASE_MS = 60_000;

export function worker(substrate: Substrate, name: string, more: MakeGrant = {}): Promise<Actor> {
  return letIn(substrate, name, { scopes: ['task.read', 'task.write', 'task.verify', 'bus.receive'], ...more });
}

export type MoreOfTask = Partial<Omit<TaskDraft, 'body'>> & { readonly acceptance?: readonly string[] };

/** Adds a task and resolves to its id. */
export async function owe(substrate: Substrate, by: Actor, title: string, more: MoreOfTask = {}): Promise<string> {
  const { acceptance = [], ...rest } = more;
  const draft = {
    subsystem: 'website',
    check: null,
    deadline: null,
    priority: 3,
    needs: [],
    body: { title, text: '', acceptance: [...acceptance] },
    ...rest,
  };
  return (await addTask(substrate, by, draft)).value.id;
}

export async function act(
  substrate: Substrate,
  by: Actor,
  id: string,
  verb: TaskAct,
  more: Omit<TaskRequest, 'act' | 'id'> = {},
): Promise<TaskChange> {
  const leaseMs = verb === 'claim' ? LEASE_MS : undefined;
  return (await changeTask(substrate, by, { act: verb, id, leaseMs, ...more })).value;
}

/** Claims it and says that it is done; resolves to the lease. */
export async function doIt(substrate: Substrate, by: Actor, id: string): Promise<number> {
  const { lease } = await act(substrate, by, id, 'claim');
  await act(substrate, by, id, 'finish', { lease });
  return lease;
}

export async function taskOf(substrate: Substrate, id: string): Promise<TaskRow> {
  const task = await substrate.read((db) => findTask(db, id, substrate.sources.now()));
  if (task === null) throw new Error(`There is no task ${id}.`);
  return task;
}
