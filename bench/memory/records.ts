/** Records as a memory may hold them: words as frequent as in a language, and questions about some of them. */
const WORDS = 20_000;
const RECORD_WORDS = 20;
const QUESTION_WORDS = 4;

/** Numbers in [0, 1) that are the same in every run (a linear congruence; Numerical Recipes, §7.1). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const SYLLABLES = [
  'ba',
  'ke',
  'li',
  'mo',
  'nu',
  'ra',
  'se',
  'ti',
  'vo',
  'zu',
  'dan',
  'fer',
  'gol',
  'hin',
  'pur',
  'lox',
];

/** The word of a rank, the most frequent first. */
function word(rank: number): string {
  const size = SYLLABLES.length;
  let [text, rest] = ['', rank + size];
  for (; rest > 0; rest = Math.floor(rest / size)) text += SYLLABLES[rest % size] ?? '';
  return text;
}

export interface Made {
  readonly text: string;
  /** Some of its words, as somebody asks who remembers them. */
  readonly question: string;
  /** Its rarest word. */
  readonly rare: string;
}

/** The record of a number. */
export function record(nr: number): Made {
  const random = seeded(nr * 2_654_435_761 + 1);
  random();
  const ranks = Array.from({ length: RECORD_WORDS }, () => Math.floor(WORDS ** random()) - 1);
  const asked = Array.from({ length: QUESTION_WORDS }, () => ranks[Math.floor(random() * RECORD_WORDS)] ?? 0);
  return {
    text: ranks.map(word).join(' '),
    question: asked.map(word).join(' '),
    rare: word(Math.max(...ranks)),
  };
}
