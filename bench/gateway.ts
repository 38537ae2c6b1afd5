/** The gateway: what it adds to a model's answer, beside a direct call, the least that is possible, and the gateways of others. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Pool } from 'undici';
import type { Way } from './gateway/peers.ts';
import { BASE_NAMES, chatBody, installPeers, startPortkey, startRouter } from './gateway/peers.ts';
import { machineFacts } from './machine.ts';
import { residentMb, startSeed } from './mcp/processes.ts';
import { policyFor } from './policy.ts';
import type { Bench, BenchOptions, BenchReport, Goal, Measure, Ratio } from './report.ts';
import { best, latencyOf, median, ratioOf } from './report.ts';

/** The ways alternate in slices this short: the machine's moods hit all of them. */
const SLICE_CALLS = 20;
const SLICES = 10;
const CONNECTIONS = 50;
const BURST_CALLS = 3_000;

const DIRECT = 'direct';
const OURS = 'seed';
const CONVERSATION = 'seed, in a session';
/** What cannot be gone below here: see `gateway/floor.ts`. */
const PROXY = 'floor: a bare proxy';
const COMMITS = 'floor: a proxy with two commits';
const PATH = '/v1/chat/completions';

/** One of the benchmark's own servers, which print their address. */
async function startOwn(
  script: string,
  ...args: readonly string[]
): Promise<{ readonly url: string; readonly pid: number } & AsyncDisposable> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'gateway', script), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    url,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** A way to ask, on connections that stay open. */
class Line {
  readonly name: string;
  readonly #way: Way;
  readonly #pool: Pool;

  constructor(way: Way) {
    this.name = way.name;
    this.#way = way;
    this.#pool = new Pool(way.origin, { connections: CONNECTIONS, pipelining: 1 });
  }

  /** Milliseconds to the whole answer, or of a stream to its first words. */
  async ask(stream: boolean): Promise<number> {
    const { path: address, headers, body } = this.#way;
    const before = performance.now();
    const response = await this.#pool.request({
      method: 'POST',
      path: address,
      headers: { 'content-type': 'application/json', ...headers },
      body: body(stream),
    });
    let text = '';
    let firstMs: number | null = null;
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      text += chunk.toString('utf8');
      if (firstMs === null && text.includes('Measured.')) firstMs = performance.now() - before;
    }
    if (response.statusCode !== 200 || firstMs === null)
      throw new Error(`${this.name}: ${response.statusCode} ${text}`);
    return stream ? firstMs : performance.now() - before;
  }

  async sequence(stream: boolean): Promise<number[]> {
    const tookMs: number[] = [];
    for (let nth = 0; nth < SLICE_CALLS; nth += 1) tookMs.push(await this.ask(stream));
    return tookMs;
  }

  /** Whole answers a second, on all connections at once. */
  async burst(): Promise<{ perSecond: number; tookMs: number[] }> {
    let left = BURST_CALLS;
    const tookMs: number[] = [];
    const before = performance.now();
    const worker = async (): Promise<void> => {
      while (left-- > 0) tookMs.push(await this.ask(false));
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
    return { perSecond: (BURST_CALLS * 1_000) / (performance.now() - before), tookMs };
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}

/** What was measured, by name. */
class Series {
  readonly #entries = new Map<string, { unit: Measure['unit']; samples: number[]; tookMs: number[] }>();

  add(name: string, unit: Measure['unit'], value: number, tookMs: readonly number[] = []): void {
    const entry = this.#entries.get(name) ?? { unit, samples: [], tookMs: [] };
    entry.samples.push(value);
    for (const took of tookMs) entry.tookMs.push(took);
    this.#entries.set(name, entry);
  }

  /** Null where it could not be measured. */
  of(name: string): Measure | null {
    const entry = this.#entries.get(name);
    if (entry === undefined) return null;
    const { unit, samples, tookMs } = entry;
    return { name, unit, samples, latency: tookMs.length === 0 ? undefined : latencyOf(tookMs) };
  }

  all(): Measure[] {
    return [...this.#entries.keys()].map((name) => this.of(name)).filter((measure) => measure !== null);
  }
}

const KINDS = [
  { stream: false, word: 'whole answer' },
  { stream: true, word: 'first words' },
] as const;

interface Measured {
  readonly line: Line;
  /** Peers may not be able to stream with this Node. */
  readonly canStream: boolean;
  readonly pid: number;
}

/** Slice by slice all ways, one after the other; what is added is against the direct slice of the same moment. */
async function latencies(series: Series, ways: readonly Measured[]): Promise<void> {
  for (let slice = 0; slice < SLICES; slice += 1) {
    for (const { stream, word } of KINDS) {
      let directMs = Number.NaN;
      for (const { line, canStream } of ways) {
        if (stream && !canStream) continue;
        const tookMs = await line.sequence(stream);
        const { p50Ms } = latencyOf(tookMs);
        if (line.name === DIRECT) directMs = p50Ms;
        else
          series.add(
            `${line.name}: added to the ${word}`,
            'ms',
            p50Ms - directMs,
            tookMs.map((ms) => ms - directMs),
          );
      }
    }
  }
}

async function bursts(series: Series, ways: readonly Measured[]): Promise<void> {
  for (const { line, pid } of ways) {
    const before = cpuMs(pid);
    const { perSecond, tookMs } = await line.burst();
    const after = cpuMs(pid);
    if (before !== null && after !== null) {
      series.add(`${line.name}: CPU a call`, 'ms', (after - before) / BURST_CALLS);
    }
    series.add(`${line.name}: ${CONNECTIONS} connections`, '/s', perSecond, tookMs);
    if (pid !== 0) series.add(`${line.name}: resident`, 'MB', residentMb(pid));
  }
}

/** What a process has taken of the processors so far, in milliseconds; null where /proc does not say. */
function cpuMs(pid: number): number | null {
  try {
    // Behind the name, which may have blanks in it: fields 14 and 15, in ticks of 10 ms.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return null;
  }
}

async function streams(line: Line, say: BenchOptions['say']): Promise<boolean> {
  try {
    await line.ask(true);
    return true;
  } catch (error) {
    say(`${line.name} does not stream with this Node: ${String(error).slice(0, 120)}`);
    return false;
  }
}

function plainWay(name: string, origin: string): Way {
  return { name, origin, path: PATH, headers: {}, body: chatBody('measured') };
}

async function run(options: BenchOptions): Promise<BenchReport> {
  const { folder, rounds, say } = options;
  const series = new Series();
  await using opened = new AsyncDisposableStack();
  const stub = opened.use(await startOwn('stub.ts'));
  const proxy = opened.use(await startOwn('floor.ts', stub.url));
  const commits = opened.use(await startOwn('floor.ts', stub.url, path.join(folder, 'floor.db')));
  const seed = opened.use(await startSeed(path.join(folder, 'home')));
  await seed.owner('policy_apply', { document: policyFor(`${stub.url}/v1`) });
  const { key } = (await seed.owner('key_issue', { name: 'bench', scopes: ['route.complete', 'session.use'] })) as {
    key: string;
  };
  say('installing the peers');
  const peers = path.join(folder, 'peers');
  installPeers(peers);
  const portkey = opened.use(await startPortkey(peers, stub.url));
  const router = opened.use(await startRouter(peers, stub.url));
  const ours = { origin: new URL(seed.url).origin, path: PATH, headers: { authorization: `Bearer ${key}` } };
  const ways: (Way & { pid: number })[] = [
    { ...plainWay(DIRECT, stub.url), pid: 0 },
    { ...plainWay(PROXY, proxy.url), pid: proxy.pid },
    { ...plainWay(COMMITS, commits.url), pid: commits.pid },
    { name: OURS, ...ours, body: chatBody('worker'), pid: seed.pid },
    {
      ...ours,
      name: CONVERSATION,
      headers: { ...ours.headers, 'x-seed-session': 'new' },
      body: chatBody('worker'),
      pid: 0,
    },
    { ...portkey.way, pid: portkey.pid },
    { ...router.way, pid: router.pid },
  ];
  const measured: Measured[] = [];
  for (const { pid, ...way } of ways) {
    const line = new Line(way);
    opened.defer(() => line.close());
    await line.sequence(false);
    measured.push({ line, pid, canStream: await streams(line, say) });
  }
  const round = async (into: Series): Promise<void> => {
    await latencies(into, measured);
    await bursts(into, measured);
  };
  // Once without counting: all of them serve for days, and none of them is what its compiler does at first.
  say('warming up');
  await round(new Series());
  for (let nr = 1; nr <= rounds; nr += 1) {
    say(`round ${nr} of ${rounds}`);
    await round(series);
  }
  return { bench: 'gateway', machine: machineFacts(folder), measures: series.all(), ...judged(series) };
}

/** What is compared, way by way. */
const COMPARED = [
  { word: 'added', of: (way: string) => `${way}: added to the whole answer` },
  { word: 'calls a second', of: (way: string) => `${way}: ${CONNECTIONS} connections` },
  { word: 'CPU a call', of: (way: string) => `${way}: CPU a call` },
] as const;

function compared(series: Series, over: string, under: string): Ratio[] {
  return COMPARED.flatMap(({ word, of }) => {
    const [top, bottom] = [series.of(of(over)), series.of(of(under))];
    return top === null || bottom === null ? [] : [ratioOf(`${word}: ${over} / ${under}`, top, bottom)];
  });
}

function judged(series: Series): { ratios: Ratio[]; goals: Goal[] } {
  const peers = Object.values(BASE_NAMES);
  const toPeers = peers.flatMap((peer) => compared(series, OURS, peer));
  const ratios = [
    ...toPeers,
    ...[PROXY, COMMITS].flatMap((floor) => compared(series, OURS, floor)),
    ...peers.flatMap((peer) => compared(series, COMMITS, peer)),
  ];
  const goals: Goal[] = [];
  const goal = (name: string, unit: Goal['unit'], measure: Measure | null, bound: object): void => {
    if (measure !== null) goals.push({ name, unit, ...bound, best: best(measure), median: median(measure.samples) });
  };
  const [added, rate] = COMPARED.map(({ of }) => series.of(of(OURS)));
  goal('added to the whole answer, p50', 'ms', added ?? null, { atMost: 1.2 });
  goal('calls a second at 50 connections', '/s', rate ?? null, { atLeast: 1_000 });
  goal('resident', 'MB', series.of(`${OURS}: resident`), { atMost: 150 });
  for (const { name, best: top, median: middle } of toPeers) {
    const bound = name.startsWith('calls') ? { atLeast: 2 } : { atMost: 1 };
    if (!name.startsWith('CPU')) goals.push({ name, unit: '', ...bound, best: top, median: middle });
  }
  return { ratios, goals };
}

export const gateway: Bench = {
  about: 'a model’s answer through the gateway, beside a direct call and the gateways of others',
  run,
};
