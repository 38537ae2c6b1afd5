/**
 * MCP calls: a tool of ours that reads and one that leaves a receipt, beside a trivial tool on the bare
 * SDK, which looks nobody up, reads nothing and keeps nothing; over HTTP and on the local socket, by one
 * client, in one revision, turn by turn; memory over many calls; and what a removal cuts off.
 */
import path from 'node:path';
import { machineFacts } from './machine.ts';
import type { Load } from './mcp/load.ts';
import type { Served, ServedSeed } from './mcp/processes.ts';
import { residentMb, runLoad, startBare, startSeed } from './mcp/processes.ts';
import type { ToolCall } from './mcp/protocol.ts';
import { openStreams } from './mcp/streams.ts';
import type { Bench, BenchOptions, BenchReport, Goal, Measure, Ratio } from './report.ts';
import { best, latencyOf, median, ratioOf } from './report.ts';

const CONNECTIONS = [16, 1] as const;
/** At 16 connections enough for both sides to be warm: of the first thousand calls most is the compiler’s time. */
const CALLS = { 16: 6_000, 1: 400 } as const;
/** Calls for the look at memory: as many as a small home has receipts, or this. */
const MEMORY_CALLS_MAX = 100_000;
const MEMORY_SHARE = 5;
const MEMORY_GROWTH_MB_MAX = 24;
const STREAMS = 100;
const OTHER_STREAMS = 10;
const CUT_MS_MAX = 1_000;
const READ_RATIO_MIN = 0.9;
const RECEIPTED_RATIO_MIN = 0.7;

const TEXT = 'x'.repeat(100);
const BARE: ToolCall = { name: 'trivial', input: { text: TEXT } };
/** The bare SDK with the least that a durable, signed receipt can cost (`floor.ts`). */
const FLOOR: ToolCall = { name: 'kept', input: { text: TEXT } };
/** Two reads of the database on the socket; over HTTP helpers read on record, so there a commit as well. */
const READ: ToolCall = { name: 'receipt_get', input: { seq: 0 } };
const RECEIPTED: ToolCall = { name: 'receipt_note', input: { text: TEXT } };

const COMPARED = 'tools of ours that read and write the database, with a trivial one that does neither';

type Door = 'HTTP' | 'socket';
type Kind = 'bare' | 'floor' | 'read' | 'receipted';
const DOORS: readonly Door[] = ['HTTP', 'socket'];
const KINDS: readonly Kind[] = ['bare', 'floor', 'read', 'receipted'];
const TOOL_OF: Readonly<Record<Kind, ToolCall>> = { bare: BARE, floor: FLOOR, read: READ, receipted: RECEIPTED };
const SHOWN: Readonly<Record<Door, Readonly<Record<Kind, string>>>> = {
  HTTP: {
    bare: 'bare SDK',
    floor: 'floor: bare SDK and a receipt',
    read: `${READ.name}, on record`,
    receipted: RECEIPTED.name,
  },
  socket: { bare: 'bare SDK', floor: 'floor: bare SDK and a receipt', read: READ.name, receipted: RECEIPTED.name },
};

interface Servers {
  readonly bare: Served;
  readonly seed: ServedSeed;
  readonly key: string;
}

/** What is collected round by round, by name. */
type Collected = Map<string, { unit: Measure['unit']; samples: number[]; tookMs: number[] }>;

function add(
  into: Collected,
  name: string,
  unit: Measure['unit'],
  value: number,
  tookMs: readonly number[] = [],
): void {
  const entry = into.get(name) ?? { unit, samples: [], tookMs: [] };
  into.set(name, entry);
  entry.samples.push(value);
  for (const took of tookMs) entry.tookMs.push(took);
}

function measureOf(collected: Collected, name: string): Measure {
  const entry = collected.get(name);
  if (entry === undefined) throw new Error(`Nothing was measured as ${name}.`);
  const { unit, samples, tookMs } = entry;
  return { name, unit, samples, latency: tookMs.length === 0 ? undefined : latencyOf(tookMs) };
}

function nameOf(door: Door, kind: Kind, connections: number): string {
  return `${door}, ${connections} connection${connections === 1 ? '' : 's'}: ${SHOWN[door][kind]}`;
}

function targetOf({ bare, seed, key }: Servers, door: Door, kind: Kind): Load['target'] {
  const isBare = kind === 'bare' || kind === 'floor';
  const served = isBare ? bare : seed;
  return door === 'HTTP'
    ? { kind: 'http', url: served.url, key: isBare ? null : key }
    : { kind: 'socket', path: served.socket, agent: isBare ? null : 'bench' };
}

async function callRound(collected: Collected, servers: Servers): Promise<void> {
  for (const connections of CONNECTIONS) {
    for (const door of DOORS) {
      for (const kind of KINDS) {
        const target = targetOf(servers, door, kind);
        const load = { target, tool: TOOL_OF[kind], connections, calls: CALLS[connections] };
        const { perSecond, tookMs } = await runLoad(load);
        add(collected, nameOf(door, kind, connections), '/s', perSecond, tookMs);
      }
    }
  }
}

const MEMORY = { warm: 'memory, warm', half: 'memory after half the calls', all: 'memory after all' } as const;
const GROWTH = 'memory, growth in the second half';
const CUT = `removal to the end of the last of ${STREAMS} streams`;

/** Reads and receipted calls in turn, over HTTP. */
async function memory(collected: Collected, servers: Servers, calls: number): Promise<void> {
  const target = targetOf(servers, 'HTTP', 'read');
  const burst = async (count: number): Promise<void> => {
    for (const tool of [READ, RECEIPTED]) {
      await runLoad({ target, tool, connections: 16, calls: Math.ceil(count / 2) });
    }
  };
  const { pid } = servers.seed;
  add(collected, MEMORY.warm, 'MB', residentMb(pid));
  await burst(calls / 2);
  const half = residentMb(pid);
  add(collected, MEMORY.half, 'MB', half);
  await burst(calls / 2);
  const all = residentMb(pid);
  add(collected, MEMORY.all, 'MB', all);
  add(collected, GROWTH, 'MB', Math.max(0, all - half));
}

async function issueKey({ owner }: ServedSeed, name: string): Promise<string> {
  const scopes = ['seed.status', 'receipt.read', 'receipt.note'];
  return ((await owner('key_issue', { name, scopes })) as { key: string }).key;
}

/** One key's streams are cut; another's stay, or it throws. */
async function cutRound(collected: Collected, { seed }: Servers, round: number): Promise<void> {
  const name = `streams-${round}`;
  const mine = await openStreams(seed.url, await issueKey(seed, name), STREAMS);
  const others = await openStreams(seed.url, await issueKey(seed, `others-${round}`), OTHER_STREAMS);
  try {
    const startMs = performance.now();
    await seed.owner('key_revoke', { key: name });
    add(collected, CUT, 'ms', (await mine.cut) - startMs);
    if (others.open() !== OTHER_STREAMS) throw new Error('A removal cut the streams of another key.');
  } finally {
    mine.close();
    others.close();
  }
}

const COMPARED_KINDS: readonly (readonly [over: Kind, under: Kind])[] = [
  ['read', 'bare'],
  ['receipted', 'bare'],
  ['floor', 'bare'],
  ['receipted', 'floor'],
];

/** Round by round: the load of other work on the machine is the same for what is compared. */
function ratiosOf(collected: Collected): Ratio[] {
  return CONNECTIONS.flatMap((connections) =>
    DOORS.flatMap((door) =>
      COMPARED_KINDS.map(([over, under]) =>
        ratioOf(
          `${nameOf(door, over, connections)} / ${under}`,
          measureOf(collected, nameOf(door, over, connections)),
          measureOf(collected, nameOf(door, under, connections)),
        ),
      ),
    ),
  );
}

function goalsOf(collected: Collected, ratios: readonly Ratio[]): Goal[] {
  const ofCalls = DOORS.flatMap((door) =>
    (['read', 'receipted'] as const).map((kind): Goal => {
      const name = `${nameOf(door, kind, 16)} / bare`;
      const ratio = ratios.find((each) => each.name === name);
      const { best: top, median: middle } = ratio ?? { best: Number.NaN, median: Number.NaN };
      const atLeast = kind === 'read' ? READ_RATIO_MIN : RECEIPTED_RATIO_MIN;
      return { name, unit: '', atLeast, best: top, median: middle };
    }),
  );
  const ofMeasure = (name: string, atMost: number): Goal => {
    const measure = measureOf(collected, name);
    return { name, unit: measure.unit, atMost, best: best(measure), median: median(measure.samples) };
  };
  return [...ofCalls, ofMeasure(CUT, CUT_MS_MAX), ofMeasure(GROWTH, MEMORY_GROWTH_MB_MAX)];
}

async function run({ folder, rounds, receipts, say }: BenchOptions): Promise<BenchReport> {
  const collected: Collected = new Map();
  await using bare = await startBare(path.join(folder, 'bare.sock'));
  await using seed = await startSeed(path.join(folder, 'home'));
  const servers: Servers = { bare, seed, key: await issueKey(seed, 'bench') };
  // Once without counting, for the compiler.
  await callRound(new Map(), servers);
  for (let round = 1; round <= rounds; round++) {
    say(`calls: round ${round} of ${rounds}`);
    await callRound(collected, servers);
  }
  for (let round = 1; round <= rounds; round++) {
    say(`streams: round ${round} of ${rounds}`);
    await cutRound(collected, servers, round);
  }
  const calls = Math.min(MEMORY_CALLS_MAX, Math.ceil(receipts / MEMORY_SHARE));
  say(`memory: ${calls} calls`);
  await memory(collected, servers, calls);
  const ratios = ratiosOf(collected);
  return {
    bench: 'mcp',
    machine: { ...machineFacts(folder), calls, compared: COMPARED },
    measures: [...collected.keys()].map((name) => measureOf(collected, name)),
    ratios,
    goals: goalsOf(collected, ratios),
  };
}

export const mcp: Bench = {
  about: 'MCP calls beside the bare SDK, over HTTP and the socket; memory; streams cut on removal',
  run,
};
