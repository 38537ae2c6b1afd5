/**
 * Texts and questions as the index takes them.
 *
 * What is asked never reaches the index as query syntax: only letters, marks and digits are left of it,
 * as quoted words. Scripts without spaces (Chinese, Japanese, Thai, …) are cut into overlapping pairs of
 * characters, and the last one by itself, so that every part of a text can be found: two characters or
 * more by their pairs, one by the beginning of a pair. Characters beyond the basic plane, and symbols
 * such as emoji, are words by number: the index knows no newer ones.
 */

/** Words that say nothing of what is meant; a question made of nothing else is asked all the same. */
const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a about after again all am an and any are as at be because been before being but by can could did do does ' +
    'doing don down during each few for from further had has have having he her here hers him his how i if in into ' +
    'is it its just me more most my no nor not now of off on once only or other our out over own s same she should ' +
    'so some such t than that the their them then there these they this those through to too under until up us very ' +
    'was we were what when where which while who whom why will with would you your ' +
    'll re ve d m tell know say said think thing things get got'
  ).split(' '),
);

const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\p{Script=Javanese}\u30fc]+/gu;
/** Anything that is not plain Latin. */
const FOREIGN = /[\u0250-\uffff]/;
const SYMBOL = /[\p{So}\u{10000}-\u{10ffff}]/gu;
const WORD = /[\p{L}\p{N}\p{M}]+/gu;

/** A symbol's or rare letter's own word: its number, with letters on both sides that no stemmer touches. */
function numbered(symbol: string): string {
  return ` zu${(symbol.codePointAt(0) ?? 0).toString(10)}z `;
}

function pairs(run: string): string {
  const characters = Array.from(run);
  const twos = characters.slice(0, -1).map((character, index) => `${character}${characters[index + 1] ?? ''}`);
  return ` ${[...twos, characters.at(-1) ?? ''].join(' ')} `;
}

/** A text as it goes into the index. */
export function indexText(text: string): string {
  if (!FOREIGN.test(text)) return text.replaceAll('\0', ' ');
  return text.normalize('NFKC').replaceAll('\0', ' ').replace(SYMBOL, numbered).replace(UNSPACED, pairs);
}

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = 'January February March April May June July August September October November December'.split(' ');

/** Written out here: what the platform says dates with takes 7 MB of memory. */
function sayDay(date: Date): string {
  const [weekday = '', month = ''] = [WEEKDAYS[date.getUTCDay()], MONTHS[date.getUTCMonth()]];
  return `${weekday}, ${month} ${date.getUTCDate()}, ${date.getUTCFullYear()}`;
}

const DAY_MS = 86_400_000;
let known = { day: Number.NaN, words: '' };

/** The words by which a day is asked for: `Saturday, November 21, 2026`. */
export function dayWords(ms: number): string {
  // Many memories that are looked at together are of one day.
  const day = Math.floor(ms / DAY_MS);
  if (day !== known.day) known = { day, words: sayDay(new Date(ms)) };
  return known.words;
}

/** Words of a text, in order, as far as they can be found. */
export function wordsOf(text: string): string[] {
  return indexText(text).toLowerCase().match(WORD) ?? [];
}

/** Words of a question that are looked up. */
const TERMS_MAX = 48;

/** What a question is made of. */
export interface Question {
  /** Each once, in order. */
  readonly words: readonly string[];
}

/** The words that count of a question, each once; none where there is nothing to look for. */
export function questionOf(query: string, { keepStopWords = false }: { keepStopWords?: boolean } = {}): Question {
  const all = [...new Set(wordsOf(query))];
  const telling = keepStopWords ? all : all.filter((word) => !STOP_WORDS.has(word));
  return { words: (telling.length === 0 ? all : telling).slice(0, TERMS_MAX) };
}

const ONE_UNSPACED = new RegExp(`^${UNSPACED.source}$`, 'u');

/** One word in the index's language: quoted, so that nothing in it is syntax. */
export function termOf(word: string): string {
  const alone = ONE_UNSPACED.test(word) && Array.from(word).length === 1;
  return `"${word.replaceAll('"', '""')}"${alone ? '*' : ''}`;
}

/** Roughly a word's stem, to compare what was asked with what was found; the index has its own. */
export function stemOf(word: string): string {
  if (word.length < 4 || FOREIGN.test(word)) return word;
  return word
    .replace(/(?:ies|ied)$/, 'y')
    .replace(/(?:(?<=..)(?:ing|ed|es|s|ly|er))$/, '')
    .replace(/e$/, '');
}
