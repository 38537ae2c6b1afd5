/** A seed killed at every point of a step: the next start goes on, no answer is lost, stored twice or paid unseen. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { listSessions } from '../../../src/substrate/sessions/sessions.ts';
import { readTranscript } from '../../../src/substrate/sessions/work.ts';
import type { Row } from '../../../src/substrate/substrate.ts';
import { startNode } from '../../support/child.ts';
import { makeHome, openAgain } from '../../support/home.ts';
import { scratch } from '../../support/scratch.ts';
import { testSources } from '../../support/sources.ts';

const LOAD = fileURLToPath(new URL('./step-load.ts', import.meta.url));

/** Where a step can be cut, and how the next start finds it. */
const POINTS = [
  // Its messages are there, and nothing was asked: the step is made.
  ['session.step.begun', 'made'],
  // Nobody knows whether the model was asked, or what it said: told so, and asked anew when that is wanted.
  ['route.intent', 'in doubt'],
  ['route.answered', 'in doubt'],
  // The answer is kept: it is added, and nobody is asked again.
  ['route.settled', 'added'],
  ['session.step.answered', 'added'],
  ['session.step.ended', 'added'],
] as const;

test.each(POINTS)('[LOCK-HANDOFF-2] killed at %s: %s, once', async (point, found) => {
  using dir = scratch();
  const home = dir.at('home');
  await makeHome(home);
  await using killed = startNode([LOAD, home, point, '2']);
  expect(await killed.ended).toEqual({ code: null, signal: 'SIGKILL' });
  expect(killed.errors()).toBe('');
  await using after = startNode([LOAD, home]);
  expect([await after.ended, after.errors()]).toEqual([{ code: 0, signal: null }, '']);

  const asked = [...killed.lines, ...after.lines].filter((line) => line.startsWith('asked '));
  const doubted = after.lines.filter((line) => line.startsWith('in_doubt'));
  expect(doubted).toHaveLength(found === 'in doubt' ? 1 : 0);
  // Only what is in doubt and was said to be asked anew may be asked twice.
  const twice = asked.length - new Set(asked).size;
  expect(twice).toBeLessThanOrEqual(found === 'in doubt' ? 1 : 0);
  expect(after.lines.filter((line) => line.startsWith('answered') || line.startsWith('defect'))).toEqual(
    [1, 2, 3].map((nr) => `answered ${nr} answer to go ${nr}`),
  );

  await using seed = await openAgain(home, { sources: testSources('after', Date.now() + 1_000) });
  const { substrate } = seed;
  const [session] = await substrate.read((db) => listSessions(db, { limit: 2 }));
  const messages = await substrate.read((db) => readTranscript(db, session!));
  expect(messages.map(({ parts: [part] }) => (part?.type === 'text' ? part.text : ''))).toEqual(
    [1, 2, 3].flatMap((nr) => [`go ${nr}`, `answer to go ${nr}`]),
  );
  const money = await substrate.read((db) =>
    db.get<{ attempts: number; held: number; booked: number; summed: number } & Row>(
      `SELECT count(*) AS attempts, count(*) FILTER (WHERE cost_micro_usd IS NULL) AS held, sum(cost_micro_usd) AS booked,
        (SELECT sum(spent_micro_usd + held_micro_usd) FROM substrate_spending WHERE scope = ?) AS summed
        FROM substrate_ledger`,
      `session:${session!.id}`,
    ),
  );
  // Every call is booked, the one that was cut off included, and all of it is the session's.
  expect(money).toMatchObject({ attempts: found === 'in doubt' ? 4 : 3, held: 0 });
  expect(money?.summed).toBe(money?.booked);
});
