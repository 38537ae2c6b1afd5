import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { isoTime } from '../substrate/sources.ts';
import {
  ACCEPTANCE_MAX,
  DEFAULT_SUBSYSTEM,
  LEASE_S,
  NEEDS_MAX,
  NOTE_CHARS_MAX,
  PRIORITIES,
  StatedCheck,
  STATES,
  SubsystemName,
  TEXT_CHARS_MAX,
  TITLE_CHARS_MAX,
} from '../substrate/tasks/model.ts';
import type { TaskAct, TaskChange } from '../substrate/tasks/tasks.ts';
import { addTask, changeTask } from '../substrate/tasks/tasks.ts';
import type { Actor } from '../substrate/actor.ts';
import { defineTool } from './define.ts';
import { Moment, TaskId } from './task-view.ts';
import { lines, sentence } from './text.ts';

const Input = z.strictObject({
  do: z.enum(['add', 'claim', 'progress', 'finish', 'verify', 'release', 'cancel', 'reopen', 'amend']),
  id: TaskId.optional().describe('All but add'),
  title: z.string().min(1).max(TITLE_CHARS_MAX).optional(),
  text: z.string().max(TEXT_CHARS_MAX).optional(),
  subsystem: SubsystemName.optional(),
  acceptance: z.array(z.string().min(1).max(500)).max(ACCEPTANCE_MAX).optional().describe('When it is done'),
  check: StatedCheck.optional().describe('Done once this receipt or file is there'),
  deadline: Moment.optional(),
  priority: z.int().min(PRIORITIES.first).max(PRIORITIES.last).optional().describe('1 is first'),
  needs: z.array(TaskId).max(NEEDS_MAX).optional().describe('Tasks that come before'),
  lease: z.int().optional().describe('From your claim; for progress, finish, release'),
  lease_s: z.int().min(LEASE_S.min).max(LEASE_S.max).optional(),
  ok: z.boolean().optional().describe('verify: false sends it back'),
  note: z.string().min(1).max(NOTE_CHARS_MAX).optional(),
});
type Input = z.infer<typeof Input>;
type Field = Exclude<keyof Input, 'do'>;

/** What each takes besides `id`; the first that stand there must be given. */
const TAKES: Readonly<Record<Input['do'], { readonly must: readonly Field[]; readonly may: readonly Field[] }>> = {
  add: { must: ['title'], may: ['text', 'subsystem', 'acceptance', 'check', 'deadline', 'priority', 'needs'] },
  claim: { must: ['id'], may: ['lease_s', 'note'] },
  progress: { must: ['id', 'lease'], may: ['lease_s', 'note'] },
  finish: { must: ['id', 'lease'], may: ['note'] },
  verify: { must: ['id'], may: ['ok', 'lease', 'note'] },
  release: { must: ['id', 'lease'], may: ['note'] },
  cancel: { must: ['id'], may: ['note'] },
  reopen: { must: ['id'], may: ['note'] },
  amend: { must: ['id'], may: ['priority', 'needs', 'note'] },
};

const Output = z.object({
  id: z.string(),
  title: z.string(),
  state: z.enum(STATES),
  lease: z.int(),
  lease_until: z.string().nullable(),
  check: z.enum(['passed', 'failed']).nullable(),
  repeated: z.boolean(),
  receipt: z.int(),
});
type Output = z.infer<typeof Output>;

export const taskUpdate = defineTool({
  name: 'task_update',
  title: 'Add, claim, finish or verify a task',
  description:
    'Use when work is owed: add it (title), claim it before you begin, tell of progress (which renews the lease), finish, release. A task is done once somebody other than who did it says so (verify), or its check holds.',
  scope: 'task.write',
  surface: 'daily',
  access: 'write',
  input: Input,
  output: Output,
  text: (output) =>
    lines(`${output.id} is ${output.state}: ${sentence(output.title)}`, nextStep(output), `Receipt ${output.receipt}.`),
  handler: async (input, { actor, substrate }): Promise<Output> => {
    assertTakes(input);
    if (input.do === 'add') {
      const { text = '', title = '', acceptance = [], check = null, subsystem = DEFAULT_SUBSYSTEM, needs = [] } = input;
      const deadline = input.deadline === undefined ? null : Date.parse(input.deadline);
      const priority = input.priority ?? PRIORITIES.usual;
      const draft = { subsystem, body: { title, text, acceptance }, check, deadline, priority, needs };
      const { value, seq } = await addTask(substrate, actor, draft);
      return view(value, seq);
    }
    const { id = '', lease, lease_s: seconds, note, priority, needs } = input;
    const act = actOf(input, actor);
    const leaseMs = seconds === undefined && act === 'claim' ? LEASE_S.usual * 1_000 : seconds && seconds * 1_000;
    const { value, seq } = await changeTask(substrate, actor, { act, id, lease, leaseMs, note, priority, needs });
    return view(value, seq);
  },
});

/** @throws SeedError `invalid_input` for what is missing, or does not belong there */
function assertTakes(input: Input): void {
  const { must, may } = TAKES[input.do];
  const given = (Object.keys(input) as (keyof Input)[]).filter((name) => name !== 'do' && input[name] !== undefined);
  const missing = must.find((name) => input[name] === undefined);
  const wrong = given.find((name) => name !== 'do' && !must.includes(name) && !may.includes(name));
  const fault = missing ?? wrong;
  if (fault === undefined) return;
  const what = missing === undefined ? `${fault} does not belong to` : `${fault} is missing for`;
  throw new SeedError('invalid_input', `${what} "${input.do}".`, {
    hint: `It takes ${[...must, ...may.map((name) => `${name}?`)].join(', ')}.`,
    data: { argument: fault },
  });
}

/** @throws SeedError `forbidden` without the scope to verify */
function actOf({ do: verb, ok = true }: Input, { scopes }: Actor): TaskAct {
  if (verb === 'add') throw new Error('A task that is added has no act.');
  if (verb !== 'verify') return verb;
  if (!scopes.has('task.verify')) {
    throw new SeedError('forbidden', 'To verify needs the scope task.verify.', {
      hint: 'Ask the owner for it with membrane_request.',
      data: { scope: 'task.verify' },
    });
  }
  return ok ? 'verify' : 'reject';
}

function view({ id, title, state, lease, leaseUntil, repeated, checkHolds }: TaskChange, receipt: number): Output {
  return {
    id,
    title,
    state,
    lease,
    lease_until: leaseUntil === null ? null : isoTime(leaseUntil),
    check: checkHolds === null ? null : checkHolds ? 'passed' : 'failed',
    repeated,
    receipt,
  };
}

function nextStep({ state, lease, lease_until: until, check }: Output): string {
  if (state === 'claimed')
    return `It is yours under lease ${lease} until ${until}; progress renews that, with "lease":${lease}.`;
  if (state === 'finished' && check === 'failed') {
    return 'Its check does not hold yet: finish it again once it does, or let somebody else verify it.';
  }
  return state === 'finished' ? 'Now somebody other than you verifies it.' : '';
}
