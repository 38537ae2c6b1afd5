/**
 * Conversations to remember, with questions and the turns that answer them, as `conversations.txt` has
 * them: `# DAY NAME NAME` begins one, `NAME: TEXT` is a turn, `? QUESTION = TURN` asks for a turn of it.
 *
 * Between any two of them stands small talk that a seeded choice makes of a few phrases: it has the same
 * names and everyday words as the questions, and never the answer.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededNumbers } from '../../../support/sources.ts';

export interface Turn {
  readonly speaker: string;
  readonly text: string;
  readonly at: number;
  /** The conversation that it is part of. */
  readonly thread: string;
}

export interface Question {
  readonly text: string;
  /** Index into the turns. */
  readonly answer: number;
}

const SMALL_TALK_TURNS = 8;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const PHRASES = {
  who: [
    'my neighbour',
    'your sister',
    'the teacher',
    'my aunt',
    'the baker',
    'an old friend',
    'the doctor',
    'his boss',
  ],
  did: ['called about', 'asked for', 'brought', 'forgot', 'told me about', 'bought', 'lost', 'wants to see'],
  what: [
    'the garden',
    'a new book',
    'the weather',
    'some tea',
    'the news',
    'a ticket',
    'the dog',
    'the work',
    'a song',
  ],
  when: ['yesterday', 'last week', 'on Sunday', 'this morning', 'in the evening', 'at lunch', 'in spring'],
} as const;

/** All turns in the order in which they were said, and all questions. */
export function loadConversations(): { turns: Turn[]; questions: Question[] } {
  const turns: Turn[] = [];
  const questions: Question[] = [];
  const pick = seededNumbers('small talk');
  const one = (list: readonly string[]): string => list[pick(list.length)] ?? '';
  let scene = { first: 0, at: 0, thread: '', names: ['', ''] };
  const add = (speaker: string, text: string, { at, thread }: { at: number; thread: string }): void => {
    turns.push({ speaker, text, thread, at: at + turns.length * MINUTE_MS });
  };
  for (const line of readFileSync(join(import.meta.dirname, 'conversations.txt'), 'utf8').split('\n')) {
    const [, day, ...names] = /^# (\S+) (\S+) (\S+)$/.exec(line) ?? [];
    const [, question, nr] = /^\? (.+) = (\d+)$/.exec(line) ?? [];
    const [, speaker, text] = /^([A-Z]\w+): (.+)$/.exec(line) ?? [];
    if (day !== undefined) {
      const at = Date.parse(day);
      for (let n = 0; n < SMALL_TALK_TURNS; n++) {
        const small = `${one(PHRASES.who)} ${one(PHRASES.did)} ${one(PHRASES.what)} ${one(PHRASES.when)}.`;
        add(one(names), small, { at: at - DAY_MS, thread: `before ${day}` });
      }
      scene = { first: turns.length, at, thread: day, names };
    } else if (question !== undefined) {
      questions.push({ text: question, answer: scene.first + Number(nr) - 1 });
    } else if (speaker !== undefined && text !== undefined) {
      add(speaker, text, scene);
    }
  }
  return { turns, questions };
}
