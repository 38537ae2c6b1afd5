/**
 * A run: one daemon after the other over one home, each killed; clients that ask, some of them killed too;
 * a clock that is moved on, so that windows turn over under way.
 */
import { join } from 'node:path';
import { socketPaths } from '../../../src/substrate/home/sockets.ts';
import { asOwner } from '../../doors/rig.ts';
import type { Child } from '../../support/child.ts';
import { startNode, until } from '../../support/child.ts';
import { seededNumbers } from '../../support/sources.ts';
import type { Limit } from './plan.ts';
import { policyFile, SLOTS, taskOf } from './plan.ts';
import type { Entry, JournalProvider } from './provider.ts';
import { startJournalProvider } from './provider.ts';

const HOUR_MS = 3_600_000;
/** Where the clock begins: a day before a month ends. */
const MONTH_END_MS = Date.UTC(2027, 0, 30, 15);
const YEAR_S = 366 * 86_400;
/** Tasks that a client's next life begins again with, so that keys are repeated after a kill. */
const REPEATED = 3 * SLOTS;

/** Where a daemon kills itself, and about how often it passes there before. */
const POINTS = [
  ['route.intent', 1],
  ['route.answered', 1],
  ['route.settled', 1],
  ['store.commit.before', 2],
  ['store.commit.after', 2],
  ['group.answer', 2],
] as const;

export interface RunOptions {
  readonly run: string;
  readonly home: string;
  readonly clients: number;
  /** Requests at the provider before the run ends. */
  readonly requests: number;
  /** Daemons that are killed, at least. */
  readonly kills: number;
  /** Answers between two moves of the clock by six hours. */
  readonly answersPerMove: number;
  readonly limits: readonly Limit[];
}

export interface Ran {
  readonly journal: readonly Entry[];
  /** How often each answer was given. */
  readonly answers: ReadonlyMap<string, number>;
  /** Tasks with a key that were answered whole, with the calls that answered them. */
  readonly whole: ReadonlyMap<string, ReadonlySet<string>>;
  readonly daemonsKilled: number;
  readonly clientsKilled: number;
  /** What `route_usage` says is held, after the last recovery. */
  readonly heldAtLast: number;
}

/** A client and its lives. */
class Client {
  readonly #options: { readonly run: string; readonly index: number; readonly key: string };
  #child: Child;
  #life = 0;
  #heard = 0;
  #reached = 0;

  constructor(options: { run: string; index: number; key: string }) {
    this.#options = options;
    this.#child = this.#start(0);
  }

  #start(from: number): Child {
    const { run, index, key } = this.#options;
    const args = [run, String(index), String(this.#life), String(from), String(SLOTS)];
    const child = startNode([join(import.meta.dirname, 'client.ts'), ...args]);
    child.tell(`key ${key}`);
    return child;
  }

  get index(): number {
    return this.#options.index;
  }

  tell(line: string): void {
    this.#child.tell(line);
  }

  /** What it has said since it was last listened to. */
  hear(): string[][] {
    const fresh = this.#child.lines.slice(this.#heard).map((line) => line.split(' '));
    this.#heard += fresh.length;
    for (const [, n] of fresh) this.#reached = Math.max(this.#reached, Number(n));
    return fresh;
  }

  async killAndReplace(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#child.ended;
    this.#life += 1;
    this.#heard = 0;
    this.#child = this.#start(Math.max(0, this.#reached - REPEATED));
  }

  async finish(): Promise<void> {
    this.#child.tell('stop');
    const { code } = await this.#child.ended;
    if (code !== 0) throw new Error(`A client ended with ${code}: ${this.#child.errors()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

/** The daemon of the moment. */
class Daemons {
  readonly #home: string;
  #offsetMs: number;
  #child: Child | null = null;
  port = 0;
  ended = false;

  constructor(home: string, startMs: number) {
    this.#home = home;
    this.#offsetMs = startMs - Date.now();
  }

  async start(fault: string | null): Promise<void> {
    const args = [join(import.meta.dirname, 'daemon.ts'), this.#home, String(this.#offsetMs)];
    const child = startNode(args, { env: fault === null ? {} : { SEED_FAULT: fault } });
    this.#child = child;
    this.ended = false;
    void child.ended.then(() => {
      this.ended = true;
    });
    const ready = await child.line((line) => line.startsWith('ready '));
    this.port = Number(ready.slice('ready '.length));
  }

  moveClock(ms: number): void {
    this.#offsetMs += ms;
    this.#child?.tell(`clock ${this.#offsetMs}`);
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.#child?.tell('stop');
    const ended = await this.#child?.ended;
    if (ended?.code !== 0) throw new Error(`The daemon did not stop in good order: ${this.#child?.errors()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.[Symbol.asyncDispose]();
  }
}

/** A home with its policy and a key for each name. */
async function prepare(
  home: string,
  provider: JournalProvider,
  { limits, names }: { limits: readonly Limit[]; names: readonly string[] },
): Promise<string[]> {
  const owner = { sockets: socketPaths(home, null) };
  const urls = { anthropic: provider.stub.baseUrl('anthropic'), nvidia: provider.stub.baseUrl('nvidia') };
  await asOwner(owner, 'policy_apply', { document: policyFile(urls, limits) });
  const keys: string[] = [];
  for (const name of names) {
    const scopes = ['route.complete', 'route.usage'];
    const { key } = await asOwner<{ key: string }>(owner, 'key_issue', { name, scopes, expires_in_s: YEAR_S });
    keys.push(key);
  }
  provider.watch(home);
  return keys;
}

export async function runUnderKills(options: RunOptions): Promise<Ran> {
  const { run, home, limits } = options;
  await using all = new AsyncDisposableStack();
  const provider = all.use(await startJournalProvider(run));
  const daemons = all.use(new Daemons(home, MONTH_END_MS));
  await daemons.start(null);
  const names = Array.from({ length: options.clients }, (_, index) => `client-${index}`);
  const keys = await prepare(home, provider, { limits, names });
  const clients = keys.map((key, index) => all.use(new Client({ run, index, key })));
  const chaos = new Chaos({ options, provider, daemons, clients });
  await chaos.run();
  await Promise.all(clients.map((client) => client.finish()));
  chaos.listen();
  await daemons.start(null);
  const { held_micro_usd: heldAtLast } = await asOwner<{ held_micro_usd: number }>(
    { sockets: socketPaths(home, null) },
    'route_usage',
  );
  await daemons.stop();
  return { ...chaos.told, journal: provider.journal, heldAtLast };
}

interface ChaosParts {
  readonly options: RunOptions;
  readonly provider: JournalProvider;
  readonly daemons: Daemons;
  readonly clients: readonly Client[];
}

/** Kills, replaces, moves the clock; until enough has happened, and then kills once more. */
class Chaos {
  readonly #parts: ChaosParts;
  readonly #random: (below: number) => number;
  readonly told = {
    answers: new Map<string, number>(),
    whole: new Map<string, Set<string>>(),
    daemonsKilled: 0,
    clientsKilled: 0,
  };
  #life = 0;
  #answered = 0;

  constructor(parts: ChaosParts) {
    this.#parts = parts;
    this.#random = seededNumbers(`${parts.options.run} chaos`);
  }

  async run(): Promise<void> {
    const { options, provider, daemons } = this.#parts;
    this.#serving();
    await this.#live(null);
    while (this.told.daemonsKilled < options.kills || provider.journal.length < options.requests) {
      const fault = this.#nextFault();
      await daemons.start(fault);
      this.#serving();
      await this.#live(fault);
    }
  }

  /** One daemon's life: to its fault point, or until it has asked the provider for its share and is killed. */
  async #live(fault: string | null): Promise<void> {
    const { options, provider, daemons } = this.#parts;
    const share = Math.ceil(options.requests / options.kills);
    const end = provider.journal.length + Math.ceil(share / 2) + this.#random(share);
    const clientDies = provider.journal.length + Math.ceil(share / 3);
    let killed = false;
    provider.onEntry = () => {
      // While the provider has a request that it has not answered.
      if (fault === null && provider.journal.length >= end) daemons.kill();
    };
    while (!daemons.ended) {
      await until(() => this.listen() > 0 || daemons.ended, 'an answer');
      if (killed || provider.journal.length < clientDies) continue;
      killed = true;
      await this.#killClient();
    }
    provider.onEntry = () => {};
    this.told.daemonsKilled += 1;
  }

  #serving(): void {
    this.#life += 1;
    for (const client of this.#parts.clients) client.tell(`serving ${this.#life} ${this.#parts.daemons.port}`);
  }

  #nextFault(): string | null {
    const { requests, kills } = this.#parts.options;
    const [point, passes] = POINTS[this.#random(2 * POINTS.length)] ?? [null, 0];
    return point === null ? null : `${point}:${10 + this.#random(Math.ceil((passes * requests) / kills))}`;
  }

  async #killClient(): Promise<void> {
    const { clients, daemons } = this.#parts;
    const client = clients[this.#random(clients.length)];
    await client?.killAndReplace();
    client?.tell(`serving ${this.#life} ${daemons.port}`);
    this.told.clientsKilled += 1;
  }

  /** Takes in what the clients have said; moves the clock after every so many answers. */
  listen(): number {
    const { clients, daemons, options } = this.#parts;
    const fresh = clients.flatMap((client) => client.hear().map((line) => [String(client.index), ...line]));
    for (const [client = '', verb, n = '', status = '', call = ''] of fresh) {
      if (verb !== 'end') continue;
      this.told.answers.set(status, (this.told.answers.get(status) ?? 0) + 1);
      const { idempotencyKey: task } = taskOf(options.run, { client: Number(client), life: 0, n: Number(n) });
      if (status === 'complete' && task !== null) {
        this.told.whole.set(task, (this.told.whole.get(task) ?? new Set()).add(call));
      }
      this.#answered += 1;
      if (this.#answered % options.answersPerMove === 0) daemons.moveClock(6 * HOUR_MS);
    }
    return fresh.length;
  }
}

/** The control: clients that share a key look at what was spent, all at once, and then ask if there is room. */
export async function runNaively(
  options: Pick<RunOptions, 'run' | 'home' | 'clients'> & { rounds: number; limitMicroUsd: number },
): Promise<readonly Entry[]> {
  const { run, home, clients: count, rounds, limitMicroUsd } = options;
  await using all = new AsyncDisposableStack();
  const provider = all.use(await startJournalProvider(run));
  const daemons = all.use(new Daemons(home, MONTH_END_MS));
  await daemons.start(null);
  const [key = ''] = await prepare(home, provider, { limits: [], names: ['shared'] });
  const children = Array.from({ length: count }, (_, index) => {
    const args = [run, String(index), '0', '0', String(SLOTS)];
    const env = { NAIVE_MICRO_USD: String(limitMicroUsd) };
    const child = all.use(startNode([join(import.meta.dirname, 'client.ts'), ...args], { env }));
    child.tell(`key ${key}`);
    child.tell(`serving 1 ${daemons.port}`);
    return child;
  });
  const said = (verb: string): number =>
    children.flatMap(({ lines }) => lines).filter((line) => line.startsWith(verb)).length;
  for (let round = 1; round <= rounds; round++) {
    await until(() => said('checked') >= round * count * SLOTS, 'all to have looked');
    if (round === rounds) for (const child of children) child.tell('stop');
    for (const child of children) child.tell('go');
    await until(() => said('round') >= round * count * SLOTS, 'all to have asked');
  }
  await Promise.all(children.map(({ ended }) => ended));
  await daemons.stop();
  return provider.journal;
}
