/**
 * How well conversations are recalled: the share of questions whose answer is among the first ten, and
 * what each step of the ranking is worth. A change that hurts recall fails here.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { rememberAll } from '../../../../src/substrate/memory/memory.ts';
import { BATCH_MEMORIES_MAX } from '../../../../src/substrate/memory/model.ts';
import type { Ranking } from '../../../../src/substrate/memory/search.ts';
import { rank, RANKING } from '../../../../src/substrate/memory/search.ts';
import { reachOf } from '../../../../src/substrate/memory/spaces.ts';
import type { TestSeed } from '../../../support/home.ts';
import { openSeed } from '../../../support/home.ts';
import type { Scratch } from '../../../support/scratch.ts';
import { scratch } from '../../../support/scratch.ts';
import { OWNER } from '../rig.ts';
import type { Question } from './load.ts';
import { loadConversations } from './load.ts';

const BEST = 10;

let dir: Scratch;
let seed: TestSeed;
let rows: readonly number[];
let questions: readonly Question[];

beforeAll(async () => {
  dir = scratch();
  seed = await openSeed(dir);
  const { turns, questions: asked } = loadConversations();
  questions = asked;
  const written: number[] = [];
  for (let start = 0; start < turns.length; start += BATCH_MEMORIES_MAX) {
    const batch = turns.slice(start, start + BATCH_MEMORIES_MAX);
    const drafts = batch.map(({ speaker, ...turn }) => ({ space: 'shared', subject: speaker, ...turn }));
    written.push(...(await rememberAll(seed.substrate, OWNER, drafts)).value.map(({ nr }) => nr));
  }
  rows = written;
});

afterAll(async () => {
  await seed.substrate.close();
  dir[Symbol.dispose]();
});

/** The share of questions answered among the first ten, and the mean of one over the answer's rank. */
async function measure(ranking: Ranking): Promise<{ recall: number; rank: number }> {
  let [hits, reciprocal] = [0, 0];
  for (const { text, answer } of questions) {
    const found = await seed.substrate.read(async (db) =>
      rank(db, await reachOf(db, OWNER, { verb: 'read' }), { query: text, ranking }),
    );
    const place = found.findIndex(({ nr }) => nr === rows[answer]);
    if (place >= 0 && place < BEST) [hits, reciprocal] = [hits + 1, reciprocal + 1 / (place + 1)];
  }
  return { recall: hits / questions.length, rank: reciprocal / questions.length };
}

/** The steps, each on top of those before it. */
const BARE: Ranking = { any: false, stopWords: false, subjectWeight: 0, dayWeight: 0, neighbours: [], rerank: false };
const STEPS: readonly (readonly [string, Ranking])[] = [
  ['all words', BARE],
  ['any word', { ...BARE, any: true }],
  ['without stop words', { ...BARE, any: true, stopWords: true }],
  ['with speaker and day', { ...RANKING, neighbours: [], rerank: false }],
  ['with neighbours', { ...RANKING, rerank: false }],
  ['compared at last', RANKING],
];

/** What each step adds, at least, to the recall and to the rank; some of what was measured is room for chance. */
const GAINS: Readonly<Record<string, { recall: number; rank: number }>> = {
  'any word': { recall: 0.45, rank: 0.35 },
  'without stop words': { recall: 0, rank: 0.005 },
  'with speaker and day': { recall: 0, rank: 0.001 },
  'with neighbours': { recall: 0.07, rank: 0.04 },
  'compared at last': { recall: 0, rank: 0 },
};

it('every step is worth what it costs, and all together find most', async () => {
  expect({ turns: rows.length, questions: questions.length }).toEqual({ turns: 293, questions: 106 });
  let before = await measure(BARE);
  for (const [name, ranking] of STEPS.slice(1)) {
    const after = await measure(ranking);
    const gain = { recall: after.recall - before.recall, rank: after.rank - before.rank };
    expect({ name, ...gain, enough: isEnough(gain, GAINS[name]) }).toMatchObject({ name, enough: true });
    before = after;
  }
  expect(before.recall).toBeGreaterThanOrEqual(0.68);
  expect(before.rank).toBeGreaterThanOrEqual(0.52);
});

function isEnough(
  gain: { recall: number; rank: number },
  least: { recall: number; rank: number } | undefined,
): boolean {
  return least !== undefined && gain.recall >= least.recall && gain.rank >= least.rank;
}

it('weights that lost do worse', async () => {
  const { recall } = await measure(RANKING);
  const loud = RANKING.neighbours.map(({ distance }) => ({ distance, weight: 1.5 }));
  expect((await measure({ ...RANKING, neighbours: loud })).recall).toBeLessThan(recall);
  expect((await measure({ ...RANKING, neighbours: [] })).recall).toBeLessThan(recall);
});

it('among few, the comparison at last tells apart what the index cannot', async () => {
  const texts = ['the dog bit the man', 'the man bit the dog', 'nothing of that kind'];
  const drafts = texts.map((text) => ({ space: 'few', text, thread: text }));
  const { value: written } = await rememberAll(seed.substrate, OWNER, drafts);
  const best = async (query: string, rerank: boolean): Promise<number | undefined> => {
    const found = await seed.substrate.read(async (db) =>
      rank(db, await reachOf(db, OWNER, { verb: 'read', space: 'few' }), { query, ranking: { ...RANKING, rerank } }),
    );
    return found[0]?.nr;
  };
  const [bitMan, bitDog] = written.map(({ nr }) => nr);
  expect([await best('dog bit the man', true), await best('man bit the dog', true)]).toEqual([bitMan, bitDog]);
  expect([await best('dog bit the man', false), await best('man bit the dog', false)]).not.toEqual([bitMan, bitDog]);
});
