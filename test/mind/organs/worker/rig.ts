/** The worker over a real substrate, pipeline and router; the models are scripts. */
import type { Organ, OrganReport } from '../../../../src/mind/organ.ts';
import { WORKER_SCOPES } from '../../../../src/mind/organs/worker/authority.ts';
import type { ProviderEvent } from '../../../../src/mind/router/provider.ts';
import type { Steps } from '../../../../src/mind/sessions/steps.ts';
import type { Actor } from '../../../../src/substrate/actor.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import { admitService } from '../../../../src/substrate/identity/service.ts';
import type { WorkerRun } from '../../../../src/substrate/mind/worker.ts';
import { findWorkerRun } from '../../../../src/substrate/mind/worker.ts';
import { findSession } from '../../../../src/substrate/sessions/sessions.ts';
import { readTranscript } from '../../../../src/substrate/sessions/work.ts';
import type { Substrate } from '../../../../src/substrate/substrate.ts';
import type { Message } from '../../../../src/substrate/transcript.ts';
import type { Script } from '../../router/rig.ts';
import type { OrgansRig } from '../rig.ts';
import { organsOf, seatNamed } from '../rig.ts';

export interface WorkerRig extends OrgansRig {
  readonly worker: Organ;
  readonly steps: Steps;
  /** Runs the worker once. */
  readonly run: (signal?: AbortSignal) => Promise<OrganReport>;
  /** Runs it as the loop does, as long as it says that there is more. */
  readonly runAll: () => Promise<void>;
  /** How often it gave a sign of life. */
  readonly signs: () => number;
}

export interface WorkerRigOptions {
  readonly scripts: Readonly<Record<string, Script>>;
  /** Targets that could be called; all unless said otherwise. */
  readonly callable?: readonly string[];
  readonly fault?: (point: string) => void;
}

/** The worker among all organs, as the daemon puts them together. */
export function workerOf(substrate: Substrate, { scripts, callable, fault }: WorkerRigOptions): WorkerRig {
  const rig = organsOf(substrate, {
    scripts,
    ...(fault === undefined ? {} : { fault }),
    more: { canCall: ({ name }) => callable?.includes(name) ?? true },
  });
  const { organ: worker } = seatNamed(rig, 'worker');
  let signs = 0;
  const run = (signal: AbortSignal = new AbortController().signal): Promise<OrganReport> =>
    worker.run({ because: 'a test', signal, alive: () => void signs++ });
  const runAll = async (): Promise<void> => {
    for (let runs = 0; runs < 50; runs++) {
      const { waiting, held } = await substrate.read((db) => worker.look(db, substrate.sources.now()));
      if (waiting === 0 || held !== null) return;
      await run();
    }
    throw new Error('The worker does not come to an end.');
  };
  return { ...rig, worker, steps: rig.mind.steps, run, runAll, signs: () => signs };
}

/** The owner turns the worker on. */
export async function turnOn(substrate: Substrate): Promise<Actor> {
  const { sources } = substrate;
  const { value } = await substrate.operate({ action: 'mind.on', actor: OWNER }, (op) =>
    admitService(op, { organ: 'worker', scopes: WORKER_SCOPES, sources }),
  );
  return value;
}

/** A tool call of a model: its name and arguments. */
export type Wanted = readonly [name: string, input: Readonly<Record<string, unknown>>];

/** What a model says in one answer: a text, or calls of tools. */
export type Answer = string | readonly Wanted[];

const USAGE = { input: 10, output: 5, cachedInput: 0, cacheWrite: 0 };

function callsOf(wanted: readonly Wanted[], label: string): ProviderEvent[] {
  return wanted.map(([name, input], index) => ({
    type: 'tool_call',
    call: { type: 'tool_call', id: `${label}_${index}`, name, arguments: JSON.stringify(input) },
    providerId: null,
  }));
}

/** A model that gives these answers one after the other, by how many answers the conversation has. */
export function plays(...answers: readonly (Answer | readonly ProviderEvent[])[]): Script {
  return async function* ({ messages }) {
    const turn = messages.filter(({ role }) => role === 'assistant').length;
    const answer = answers[Math.min(turn, answers.length - 1)] ?? '';
    yield { type: 'accepted' };
    if (typeof answer === 'string') {
      yield { type: 'text', text: answer };
      yield { type: 'end', stop: 'end', usage: USAGE };
    } else if (isEvents(answer)) yield* answer;
    else {
      yield* callsOf(answer, `t${turn}`);
      yield { type: 'end', stop: 'tool_calls', usage: USAGE };
    }
  };
}

function isEvents(answer: readonly Wanted[] | readonly ProviderEvent[]): answer is readonly ProviderEvent[] {
  return !Array.isArray(answer[0]);
}

/** The worker's record of a task. */
export async function runOf(substrate: Substrate, task: string): Promise<WorkerRun> {
  const run = await substrate.read((db) => findWorkerRun(db, task));
  if (run === null) throw new Error(`The worker has no record of ${task}.`);
  return run;
}

/** What was said in the newest session of a task. */
export async function transcriptOf(substrate: Substrate, task: string): Promise<Message[]> {
  const { session: id } = await runOf(substrate, task);
  return substrate.read(async (db) => {
    const session = await findSession(db, id);
    return session === null ? [] : readTranscript(db, session);
  });
}

/** The results of tools in it, as `status: text`. */
export async function resultsOf(substrate: Substrate, task: string): Promise<string[]> {
  const parts = (await transcriptOf(substrate, task)).flatMap((message) => message.parts);
  return parts.flatMap((part) => {
    if (part.type !== 'tool_result') return [];
    const [first] = part.content;
    return [`${part.status}: ${first?.type === 'text' ? first.text : ''}`];
  });
}
