/** How the receipts of the story hang together: each step names what it belongs to, from the message on. */
import { expect } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';

export interface Links {
  /** The target of each attempt of the worker, and how it ended, in order. */
  readonly hops: readonly (readonly [target: unknown, outcome: string])[];
  /** Each call to a model with the numbers of its receipts. */
  readonly calls: readonly { readonly call: string; readonly receipts: readonly number[] }[];
  readonly spentMicroUsd: number;
}

/** Follows a task from the message that it was to its verification; fails where a link is missing. */
export function linksOf(receipts: readonly Receipt[], task: string): Links {
  const one = (action: string, fits: (receipt: Receipt) => boolean = () => true): Receipt => {
    const found = receipts.filter((receipt) => receipt.action === action && fits(receipt));
    expect([action, found.length]).toEqual([action, 1]);
    return found[0] as Receipt;
  };
  const isOfTask = ({ subject }: Receipt): boolean => subject.type === 'task' && subject.id === task;

  const sent = one('bus.send', ({ actor }) => actor.id === 'inspector');
  const digested = one('mind.digest', ({ input }) => input === sent.input);
  expect(digested).toMatchObject({ actor: { id: 'seed-digestor' }, detail: { from: 'inspector', became: task } });
  expect(`t${digested.seq}`).toBe(task);

  const claimed = one('task.claim', isOfTask);
  const opened = one('session.open', ({ detail }) => detail['task'] === task);
  const finished = one('task.finish', isOfTask);
  const verified = one('task.verify', isOfTask);
  expect([claimed, opened, finished].map(({ actor }) => actor.id)).toEqual(Array(3).fill('seed-worker'));
  expect(verified.actor.id).toBe('checker');
  const order = [sent, digested, claimed, opened, finished, verified].map(({ seq }) => seq);
  expect(order).toEqual(order.toSorted((a, b) => a - b));

  const session = opened.subject.id;
  const stepped = receipts.filter(({ action, subject }) => action === 'session.step' && subject.id === session);
  const calls = [digested, ...stepped].map(({ detail }) => detail['call'] as string);
  const attempts = receipts.filter(({ action }) => action === 'route.attempt');
  expect(new Set(attempts.map(({ subject }) => subject.id))).toEqual(new Set(calls));
  const begun = attempts.filter(({ outcome, actor }) => outcome === 'intent' && actor.id === 'seed-worker');
  expect(begun.map(({ detail }) => detail['session'])).toEqual(begun.map(() => session));
  const ends = begun.map(({ seq }) => one('route.attempt', ({ of }) => of === seq));
  // What went on elsewhere names the receipt of what was cut off.
  const cut = ends.find(({ outcome }) => outcome === 'incomplete');
  expect(begun.at(-1)?.detail['continues']).toBe(cut?.seq);

  // Whatever the worker did names its task, its session, or a call of it; what it remembered is its tool call's.
  const own = receipts.filter(({ actor }) => actor.id === 'seed-worker');
  const known = new Set([task, session, ...calls]);
  expect(own.filter(({ subject }) => !known.has(subject.id)).map(({ action }) => action)).toEqual(['memory.write']);
  const tool = one('session.tool', ({ subject }) => subject.id === session);
  expect(tool.detail['tool']).toBe('memory_write');

  return {
    hops: ends.map(({ detail, outcome }) => [detail['target'], outcome]),
    calls: calls.map((call) => ({
      call,
      receipts: attempts.filter(({ subject }) => subject.id === call).map(({ seq }) => seq),
    })),
    spentMicroUsd: attempts.reduce((sum, { detail }) => sum + Number(detail['cost_micro_usd'] ?? 0), 0),
  };
}
