/** Writes tasks: their rows, what they need, what happened to them. */
import { SeedError } from '../../errors.ts';
import type { Row, WriteHandle } from '../store/store.ts';
import type { Operation } from '../operation.ts';
import type { Acting, TaskEventName } from './machine.ts';
import type { StatedCheck, TaskRow, TaskState } from './model.ts';
import { NEEDS_MAX } from './model.ts';

interface NewTask {
  readonly id: string;
  readonly draft: {
    readonly subsystem: string;
    readonly check: StatedCheck | null;
    readonly deadline: number | null;
    readonly priority: number;
  };
  /** Content hash. */
  readonly body: string;
  readonly adder: { readonly who: string; readonly name: string; readonly principal: string };
}

export async function insertTask(op: Operation, { id, draft, body, adder }: NewTask): Promise<void> {
  await op.run(
    `INSERT INTO substrate_tasks (seq, id, subsystem, state, priority, deadline, body, stated_check,
       adder, adder_name, adder_principal, added_at, changed_at, events)
     VALUES (?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
    op.seq,
    id,
    draft.subsystem,
    draft.priority,
    draft.deadline,
    body,
    draft.check === null ? null : JSON.stringify(draft.check),
    adder.who,
    adder.name,
    adder.principal,
    op.now,
    op.now,
  );
  await writeEvent(op, { id, lease: 0, events: 1, state: 'open' }, { event: 'add', by: adder.name, note: null });
}

interface Happening {
  readonly event: TaskEventName;
  readonly state: TaskState;
  readonly acting: Acting;
  /** The name of whoever acts. */
  readonly name: string;
  readonly leaseMs: number | undefined;
  readonly priority: number | undefined;
}

const FREE = { holder: null, holder_name: null, holder_principal: null, lease_until: 0 } as const;
const UNVERIFIED = { verifier_name: null, finished_at: null, verified_at: null } as const;

/** The row after an event; pure. */
function after(task: TaskRow, { event, state, acting, name, leaseMs, priority }: Happening, now: number): TaskRow {
  // What lapsed is nobody's, whatever happens to it next.
  const before = task.lapsed === 1 ? { ...task, ...FREE } : task;
  const changed = { ...before, state, lapsed: 0, changed_at: now, events: task.events + 1 };
  const lease = leaseMs ?? task.lease_ms;
  switch (event) {
    case 'claim':
      return {
        ...changed,
        ...UNVERIFIED,
        holder: acting.who,
        holder_name: name,
        holder_principal: acting.principal,
        lease: task.lease + 1,
        lease_ms: lease,
        lease_until: now + lease,
        claimed_at: task.claimed_at ?? now,
      };
    case 'progress':
      return { ...changed, lease_ms: lease, lease_until: now + lease };
    case 'finish':
      return { ...changed, finished_at: now };
    case 'pass':
      return { ...changed, finished_at: task.finished_at ?? now, verified_at: now, verifier_name: 'check' };
    case 'verify':
      return { ...changed, verified_at: now, verifier_name: name };
    case 'amend':
      return { ...changed, priority: priority ?? task.priority };
    case 'cancel':
      return changed;
    case 'release':
    case 'lapse':
    case 'reject':
    case 'reopen':
      return { ...changed, ...FREE, ...UNVERIFIED };
  }
}

/** Writes the row after an event, and resolves to it. */
export async function saveTask(op: Operation, task: TaskRow, happening: Happening): Promise<TaskRow> {
  const next = after(task, happening, op.now);
  await op.run(
    `UPDATE substrate_tasks SET state = ?, priority = ?, holder = ?, holder_name = ?, holder_principal = ?, lease = ?,
       lease_ms = ?, lease_until = ?, verifier_name = ?, claimed_at = ?, finished_at = ?, verified_at = ?, changed_at = ?,
       events = ? WHERE seq = ?`,
    next.state,
    next.priority,
    next.holder,
    next.holder_name,
    next.holder_principal,
    next.lease,
    next.lease_ms,
    next.lease_until,
    next.verifier_name,
    next.claimed_at,
    next.finished_at,
    next.verified_at,
    next.changed_at,
    next.events,
    next.seq,
  );
  return next;
}

interface EventFacts {
  readonly event: string;
  readonly by: string;
  /** Content hash. */
  readonly note: string | null;
}

/** Adds to what happened to a task. */
export async function writeEvent(
  op: Operation,
  { id, lease, events, state }: Pick<TaskRow, 'id' | 'lease' | 'events' | 'state'>,
  { event, by, note }: EventFacts,
): Promise<void> {
  await op.run(
    `INSERT INTO substrate_task_events (task, n, at, receipt, actor, event, state, lease, note)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    events,
    op.now,
    op.seq,
    by,
    event,
    state,
    lease,
    note,
  );
}

interface IdRow extends Row {
  readonly id: string;
}

/**
 * Makes a task depend on these, and on nothing else.
 *
 * @throws SeedError `not_found`, `conflict` where one of them waits for the task itself
 */
export async function dependOn(tx: WriteHandle, id: string, needs: readonly string[]): Promise<void> {
  const wanted = [...new Set(needs)];
  if (wanted.length > NEEDS_MAX) {
    throw new SeedError('too_large', `needs: ${wanted.length} tasks; ${NEEDS_MAX} is the limit.`, {
      hint: 'Let one task stand for several: it needs them, and others need it.',
      data: { argument: 'needs' },
    });
  }
  for (const need of wanted) await assertNeedable(tx, id, need);
  await tx.run('DELETE FROM substrate_task_needs WHERE task = ?', id);
  for (const need of wanted) await tx.run('INSERT INTO substrate_task_needs (task, needs) VALUES (?, ?)', id, need);
}

/** Whatever `need` waits for, directly or not, itself first. */
const REACH = `WITH RECURSIVE reach (id) AS (
    SELECT ? UNION SELECT n.needs FROM substrate_task_needs n JOIN reach r ON n.task = r.id
  ) SELECT id FROM reach WHERE id = ?`;

async function assertNeedable(tx: WriteHandle, id: string, need: string): Promise<void> {
  if ((await tx.get('SELECT 1 FROM substrate_tasks WHERE id = ?', need)) === undefined) {
    throw new SeedError('not_found', `needs: There is no task ${need}.`, {
      hint: 'task_list shows them.',
      data: { argument: 'needs' },
    });
  }
  if ((await tx.get<IdRow>(REACH, need, id)) === undefined) return;
  throw new SeedError('conflict', `needs: ${need} waits for ${id}, directly or through others; neither could begin.`, {
    hint: 'Leave out one of the two.',
    data: { argument: 'needs', task: need },
  });
}
