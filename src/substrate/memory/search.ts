/**
 * Ranked recall.
 *
 * The index gives candidates: any of the words, without stop words, stemmed, in the text, the subject
 * or the day. What stands beside a match in its thread is told of by it: a memory's score is its own and
 * shares of its neighbours' (weights below, which won on conversations), summed here and not in columns of
 * the index, so that a write touches one row and a forgotten text stays in none. At last the best are
 * compared with the question itself. The work is bounded: the rarest words choose the candidates, and
 * words that half of all memories have only help to rank.
 */
import type { ReadHandle, Row, Value } from '../store/store.ts';
import type { Reach } from './spaces.ts';
import { scan } from './spaces.ts';
import { dayWords, questionOf, stemOf, termOf, wordsOf } from './words.ts';

/** How a search ranks; every step can be left out, which is how tests measure what it is worth. */
export interface Ranking {
  readonly any: boolean;
  readonly stopWords: boolean;
  readonly subjectWeight: number;
  readonly dayWeight: number;
  /** What a memory gets of the score of the one before it, and so on. */
  readonly neighbours: readonly { readonly distance: number; readonly weight: number }[];
  readonly rerank: boolean;
}

export const RANKING: Ranking = {
  any: true,
  stopWords: true,
  subjectWeight: 1,
  dayWeight: 0.3,
  neighbours: [
    { distance: -1, weight: 0.6 },
    { distance: 1, weight: 0.4 },
    { distance: -2, weight: 0.4 },
    { distance: 2, weight: 0.3 },
  ],
  rerank: true,
};

export interface Filter {
  readonly kind?: string | undefined;
  readonly subject?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Only what was written up to this receipt, so that pages fit together. */
  readonly asOf?: number | undefined;
}

/** Rows that a word may match before it is too common to choose by, and that all words may match together. */
const COMMON_ROWS = 1_000;
const MATCHED_ROWS_MAX = 3_000;
/** Candidates of each space whose score counts. */
const CANDIDATES_MAX = 300;
/** How deep a search goes; a page never goes beyond. */
const RANKED_MAX = 200;
/** What the last comparison reads of a text. */
const COMPARED_CHARS = 2_000;

/** A memory that answers, and whether by itself or by what stands beside it. */
export interface Ranked {
  readonly nr: number;
  readonly matched: boolean;
}

interface Candidate extends Row {
  readonly nr: number;
  readonly score: number;
  readonly thread: number;
  readonly place: number;
}

/** Memories in the order in which they answer the question, the best first; at most 200. */
export async function rank(
  db: ReadHandle,
  reach: Reach,
  { query, filter = {}, ranking = RANKING }: { query: string; filter?: Filter; ranking?: Ranking },
): Promise<readonly Ranked[]> {
  const question = questionOf(query, { keepStopWords: !ranking.stopWords });
  const match = await chooseMatch(db, reach, question.words, ranking);
  if (match === null) return [];
  const candidates = await findCandidates(db, reach, { match, filter, ranking });
  const places = spread(candidates, ranking);
  const best = [...places.values()].sort((a, b) => b.score - a.score).slice(0, RANKED_MAX);
  const found = await readPlaces(db, reach, best, filter);
  return ranking.rerank ? compare(found, query, question.words) : found;
}

/** The words to match by, the rarest first, until they match enough; null when none is there at all. */
async function chooseMatch(
  db: ReadHandle,
  reach: Reach,
  words: readonly string[],
  { any }: Ranking,
): Promise<string | null> {
  const terms = words.map(termOf);
  if (!any) return terms.length === 0 ? null : terms.join(' AND ');
  const counted: { term: string; rows: number }[] = [];
  for (const term of terms) counted.push({ term, rows: await countRows(db, reach, term) });
  const there = counted.filter(({ rows }) => rows > 0).sort((a, b) => a.rows - b.rows);
  const chosen: string[] = [];
  let matched = 0;
  for (const { term, rows } of there) {
    if (chosen.length > 0 && (rows >= COMMON_ROWS || matched + rows > MATCHED_ROWS_MAX)) break;
    chosen.push(term);
    matched += rows;
  }
  return chosen.length === 0 ? null : chosen.join(' OR ');
}

/** In how many memories within reach a word is, counted up to where it is common. */
async function countRows(db: ReadHandle, reach: Reach, term: string): Promise<number> {
  const rows = await scan<{ rows: number }>(db, reach, {
    sql: `SELECT count(*) AS rows FROM (SELECT 1 FROM substrate_memory_index
          WHERE substrate_memory_index MATCH ? AND WITHIN(rowid) LIMIT ${COMMON_ROWS})`,
    params: [term],
  });
  return rows.reduce((sum, { rows: count }) => sum + count, 0);
}

/** The condition of a filter with its parameters; the same text for every filter. */
const FITS = `m.receipt <= ? AND m.at >= ? AND m.at <= ? AND m.kind = coalesce(?, m.kind)
  AND m.subject = coalesce(?, m.subject) COLLATE NOCASE AND m.forgotten_at IS NULL`;

function filterParams({ asOf, since, until, kind, subject }: Filter): Value[] {
  const { MAX_SAFE_INTEGER: most, MIN_SAFE_INTEGER: least } = Number;
  return [asOf ?? most, since ?? least, until ?? most, kind ?? null, subject ?? null];
}

/** The columns that count. */
function columnsOf({ subjectWeight, dayWeight }: Ranking): string {
  return `{text${subjectWeight > 0 ? ' subject' : ''}${dayWeight > 0 ? ' day' : ''}}`;
}

/** The newest of what matches are looked at, should it be too much; of these the best count. */
const CANDIDATES = `SELECT nr, score, thread, place FROM (
    SELECT m.nr, -bm25(substrate_memory_index, 1.0, ?, ?) AS score, m.thread, m.place
    FROM substrate_memory_index f JOIN substrate_memories m ON m.nr = f.rowid
    WHERE substrate_memory_index MATCH ? AND ${FITS} AND WITHIN(f.rowid)
    ORDER BY f.rowid DESC LIMIT ${MATCHED_ROWS_MAX})
  ORDER BY score DESC LIMIT ${CANDIDATES_MAX}`;

async function findCandidates(
  db: ReadHandle,
  reach: Reach,
  { match, filter, ranking }: { match: string; filter: Filter; ranking: Ranking },
): Promise<Candidate[]> {
  return scan<Candidate>(db, reach, {
    sql: CANDIDATES,
    params: [ranking.subjectWeight, ranking.dayWeight, `${columnsOf(ranking)} : (${match})`, ...filterParams(filter)],
  });
}

/** A place in a thread, and what tells for it. */
interface Place {
  readonly thread: number;
  readonly place: number;
  /** The row, where it matched by itself. */
  nr: number | null;
  score: number;
}

/** Scores by place: what matched, and what stands beside it. */
function spread(candidates: readonly Candidate[], { neighbours }: Ranking): Map<string, Place> {
  const places = new Map<string, Place>();
  const at = (thread: number, place: number): Place => {
    const name = `${thread} ${place}`;
    const known = places.get(name) ?? { thread, place, nr: null, score: 0 };
    places.set(name, known);
    return known;
  };
  for (const { nr, score, thread, place } of candidates) {
    const own = at(thread, place);
    own.nr = nr;
    own.score += score;
    for (const { distance, weight } of neighbours) at(thread, place - distance).score += weight * score;
  }
  return places;
}

interface Found extends Row {
  readonly nr: number;
  readonly at: number;
  readonly subject: string;
  readonly superseded_by: number | null;
  readonly beginning: string;
}

interface Scored extends Ranked {
  readonly row: Found;
  readonly score: number;
}

const FOUND = `m.nr, m.at, m.subject, m.superseded_by, substr(m.text, 1, ${COMPARED_CHARS}) AS beginning`;
const BY_NR = `SELECT ${FOUND} FROM substrate_memories m WHERE ${FITS} AND WITHIN(m.nr)`;
const BY_PLACE = `SELECT ${FOUND} FROM substrate_memories m INDEXED BY substrate_memories_thread
  WHERE m.thread = ? AND m.place = ? AND ${FITS} AND WITHIN(m.nr)`;

/** What stands at those places, as far as it may be seen and fits. */
async function readPlaces(db: ReadHandle, reach: Reach, places: readonly Place[], filter: Filter): Promise<Scored[]> {
  const params = filterParams(filter);
  const found: Scored[] = [];
  for (const { nr, thread, place, score } of places) {
    const read = nr === null ? { sql: BY_PLACE, params: [thread, place, ...params] } : { sql: BY_NR, params, nr };
    const [row] = await scan<Found>(db, reach, read);
    if (row !== undefined) found.push({ nr: row.nr, row, score, matched: nr !== null });
  }
  return found;
}

/** How much of its score a memory keeps that something else took the place of. */
const SUPERSEDED_SHARE = 0.5;
/** What the comparison adds for having all of the question's words, and all of them side by side as asked. */
const COVERED_WEIGHT = 0.5;
const PAIRS_WEIGHT = 0.3;

/**
 * The last comparison: how many of the question's words are in the text itself, and how many of them side
 * by side as they were asked; the newer of two equals first. It counts most where little is remembered
 * yet, and the index cannot tell a rare word from a common one.
 */
function compare(found: readonly Scored[], query: string, words: readonly string[]): Scored[] {
  const asked = [...new Set(words.map(stemOf))];
  const order = new Set(pairsOf(wordsOf(query).slice(0, COMPARED_CHARS).map(stemOf)));
  const rescored = found.map((one) => {
    const { row, score } = one;
    const own = wordsOf(`${row.subject} ${row.beginning} ${dayWords(row.at)}`).map(stemOf);
    const there = new Set(own);
    const covered = asked.filter((word) => there.has(word)).length / Math.max(asked.length, 1);
    const side = new Set(pairsOf(own).filter((pair) => order.has(pair))).size / Math.max(order.size, 1);
    const kept = row.superseded_by === null ? 1 : SUPERSEDED_SHARE;
    return { ...one, score: score * kept * (1 + COVERED_WEIGHT * covered + PAIRS_WEIGHT * side) };
  });
  return rescored.sort((a, b) => b.score - a.score || b.nr - a.nr);
}

function pairsOf(words: readonly string[]): string[] {
  return words.slice(1).map((word, index) => `${words[index]} ${word}`);
}

/** A part of a text around where most of the question is, at most `chars` long; the whole where it fits. */
export function snippet(text: string, query: string, chars: number): { text: string; cut: boolean } {
  if (text.length <= chars) return { text, cut: false };
  const start = wholeFrom(text, bestStart(text, query, chars));
  const end = wholeFrom(text, Math.min(text.length, start + chars));
  return { text: `${start > 0 ? '… ' : ''}${text.slice(start, end)}${end < text.length ? ' …' : ''}`, cut: true };
}

/** No half characters at either end. */
function wholeFrom(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  return unit >= 0xdc00 && unit <= 0xdfff ? index - 1 : index;
}

/** Hits that are looked at. */
const HITS_MAX = 2_000;

function bestStart(text: string, query: string, chars: number): number {
  const asked = new Set(questionOf(query).words.map(stemOf));
  const hits: { at: number; word: string }[] = [];
  for (const { 0: word, index } of text.matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
    const stem = stemOf(word.toLowerCase());
    if (asked.has(stem) || wordsOf(word).some((part) => asked.has(part))) hits.push({ at: index, word: stem });
    if (hits.length >= HITS_MAX) break;
  }
  let best = { at: 0, count: 0 };
  for (const [index, { at }] of hits.entries()) {
    const seen = new Set<string>();
    for (let next = index; next < hits.length && (hits[next]?.at ?? 0) < at + chars * 0.8; next++) {
      seen.add(hits[next]?.word ?? '');
    }
    if (seen.size > best.count) best = { at, count: seen.size };
  }
  return Math.max(0, Math.min(best.at - Math.floor(chars / 10), text.length - chars));
}
