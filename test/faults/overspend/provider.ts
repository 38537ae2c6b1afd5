/** A provider that keeps a journal: what it was asked, what it would charge, and what was on record by then. */
import { DatabaseSync } from 'node:sqlite';
import { homePath } from '../../../src/substrate/home/layout.ts';
import type { Behaviour, ProviderStub, StubRequest } from '../../support/provider-stub.ts';
import { startProviderStub } from '../../support/provider-stub.ts';
import { seededNumbers } from '../../support/sources.ts';
import { PRICES, taskIn } from './plan.ts';

export interface Entry {
  readonly task: string;
  readonly provider: keyof typeof PRICES;
  /** The newest receipt that was durable when the request arrived. */
  readonly newest: number;
  /** What the provider charges for it, in micro-dollars, whether or not it could say so. */
  readonly charged: number;
  /** Whether the answer was whole and had the usage that is charged. */
  readonly reported: boolean;
}

export interface JournalProvider extends AsyncDisposable {
  readonly stub: ProviderStub;
  readonly journal: readonly Entry[];
  /** From now on the newest receipt of this home is looked up with every request. */
  watch(home: string): void;
  /** Told of each request before it is answered. */
  onEntry: () => void;
}

export async function startJournalProvider(run: string): Promise<JournalProvider> {
  const journal: Entry[] = [];
  const random = seededNumbers(`${run} provider`);
  let newest = (): number => -1;
  let close = (): void => {};
  const provider = { onEntry: () => {} };
  const stub = await startProviderStub(async (request) => {
    const { entry, behaviour } = decide(request, random, newest());
    journal.push(entry);
    provider.onEntry();
    return behaviour;
  });
  return Object.assign(provider, {
    stub,
    journal,
    watch: (home: string) => {
      const db = new DatabaseSync(homePath(home, 'database'), { readOnly: true });
      db.exec('PRAGMA busy_timeout = 5000');
      const statement = db.prepare('SELECT max(seq) AS seq FROM substrate_receipts');
      newest = () => Number(statement.get()?.['seq']);
      close = () => db.close();
    },
    [Symbol.asyncDispose]: async () => {
      close();
      await stub.close();
    },
  });
}

const perMtok = (microUsd: number): number => Math.ceil(microUsd / 1e6);

/** What one request meets: mostly a whole answer, now and then each of what goes wrong. */
function decide(
  { provider: name, body }: StubRequest,
  random: (below: number) => number,
  newest: number,
): { entry: Entry; behaviour: Behaviour } {
  const provider = name === 'anthropic' ? 'anthropic' : 'nvidia';
  const price = PRICES[provider];
  const { max_tokens: tokensMax } = JSON.parse(body) as { max_tokens: number };
  const input = 1 + random(Math.floor(body.length / 4));
  const cached = provider === 'anthropic' ? random(20) : 0;
  const output = random(tokensMax + 1);
  const cost = perMtok(price.input * input + price.cached * cached) + perMtok(price.output * output);
  const usage = { input, cached, output };
  const chosen = random(100);
  const text = ['Well', ', yes.'];
  const entry = (facts: Pick<Entry, 'charged' | 'reported'>): Entry => ({
    task: taskIn(body),
    provider,
    newest,
    ...facts,
  });
  const fails = (status: number): { entry: Entry; behaviour: Behaviour } => ({
    entry: entry({ charged: 0, reported: false }),
    behaviour: { do: 'status', status },
  });
  if (chosen < 5) return fails(500);
  if (chosen < 7) return fails(400);
  const silent = entry({ charged: cost, reported: false });
  if (chosen < 12) return { entry: silent, behaviour: { do: 'cut', after: random(3), answer: { text, usage } } };
  if (chosen < 16) return { entry: silent, behaviour: { do: 'clean_end', answer: { text, usage } } };
  if (chosen < 20) return { entry: silent, behaviour: { do: 'answer', answer: { text, usage: null } } };
  return { entry: entry({ charged: cost, reported: true }), behaviour: { do: 'answer', answer: { text, usage } } };
}
