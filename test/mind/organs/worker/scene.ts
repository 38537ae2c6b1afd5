/** A seed with the worker on, a policy, and models that say what a test tells them to. */
import { SeedError } from '../../../../src/errors.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import { writeWorkerSettings } from '../../../../src/substrate/mind/worker.ts';
import type { WorkerSettings } from '../../../../src/substrate/mind/worker.ts';
import type { Substrate } from '../../../../src/substrate/substrate.ts';
import { openSeed } from '../../../support/home.ts';
import type { Script } from '../../router/rig.ts';
import { applyPolicy, POLICY, says } from '../../router/rig.ts';
import type { WorkerRigOptions } from './rig.ts';
import { plays, turnOn, workerOf } from './rig.ts';

export async function scene(
  at: Parameters<typeof openSeed>[0],
  script: Script,
  more: Partial<WorkerRigOptions> & { policy?: string; settings?: Partial<WorkerSettings>; off?: boolean } = {},
) {
  const { policy = POLICY, settings = {}, off = false, ...options } = more;
  const seed = await openSeed(at);
  const { substrate } = seed;
  await applyPolicy(substrate, policy);
  if (!off) await turnOn(substrate);
  await set(substrate, settings);
  const rig = workerOf(substrate, { scripts: { 'a/m': script, 'b/m': script }, ...options });
  const see = () => substrate.read((db) => rig.worker.look(db, substrate.sources.now()));
  return { ...seed, ...rig, see, [Symbol.asyncDispose]: () => seed[Symbol.asyncDispose]() };
}

/** What the owner sets. */
export async function set(substrate: Substrate, settings: Partial<WorkerSettings>): Promise<void> {
  await substrate.operate({ action: 'worker.set', actor: OWNER }, (op) => writeWorkerSettings(op, settings));
}

/** Ends a run in the middle, as a crash does: nothing of the task's own is at fault. */
export function powerWent(): SeedError {
  return new SeedError('stopping', 'The power went.', { hint: 'Start again.' });
}

/** A model that waits until it is let go, or its call is cancelled. */
export function gated() {
  const gate = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const script: Script = async function* (request, context) {
    asked.resolve();
    const cut = new Promise((_resolve, reject) => {
      context.signal.addEventListener('abort', () => reject(context.signal.reason as Error), { once: true });
    });
    await Promise.race([gate.promise, cut]);
    yield* says('Done.')(request, context);
  };
  return { script, release: gate.resolve, asked: asked.promise };
}

/** A model that never comes to an end. */
export const AGAIN = plays([['memory_search', { query: 'more' }]]);
