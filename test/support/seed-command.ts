/** The real `seed` command, built, as a user runs it. */
import { fileURLToPath } from 'node:url';
import type { Child, ChildOptions } from './child.ts';
import { startNode } from './child.ts';

const SEED = fileURLToPath(new URL('../../bin/seed.cjs', import.meta.url));

/** Starts `seed ARGS --home HOME --json`. */
export function startSeed(home: string, args: readonly string[], options: ChildOptions = {}): Child {
  return startNode([SEED, ...args, '--home', home, '--json'], { ...options, env: { SEED_PORT: '0', ...options.env } });
}

export interface Answer {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it printed, as JSON; null when it printed nothing. */
  readonly json: Readonly<Record<string, unknown>> | null;
}

/** What a command that ends by itself said. */
export async function answerOf(child: Child): Promise<Answer> {
  const { code, signal } = await child.ended;
  const text = child.lines.join('\n');
  return { code, signal, json: text === '' ? null : (JSON.parse(text) as Record<string, unknown>) };
}

export async function seed(home: string, args: readonly string[], options: ChildOptions = {}): Promise<Answer> {
  await using child = startSeed(home, args, options);
  return await answerOf(child);
}

/** Waits until a daemon serves; throws if it ends instead. */
export async function serving(child: Child): Promise<void> {
  await child.line((line) => line.includes('"ready": true'));
}
