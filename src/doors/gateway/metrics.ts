/**
 * What `/metrics` tells, in Prometheus' text format (version 0.0.4).
 *
 * Counters are of this process and begin at nothing with each start, as that format has it; what is durable (money
 * held, receipts) is read from the database at that moment. Labels have few values: roles and targets are policy's.
 */
import type { ErrorCode } from '../../errors.ts';
import { ERROR_CODES } from '../../errors.ts';
import { openCheckpoint, originOf } from '../../formats/checkpoint.ts';
import type { CallEnd } from '../../mind/router/call.ts';
import { homePath } from '../../substrate/home/layout.ts';
import { readHeldMicroUsd } from '../../substrate/ledger/sums.ts';
import { readHeld } from '../../substrate/receipts/held.ts';
import { fastSha256 } from '../../substrate/receipts/sha256.ts';
import type { Substrate } from '../../substrate/substrate.ts';

type LabelValues = Readonly<Record<string, string>>;

/** Upper bounds in seconds: of what waits for models, and of what the seed does by itself. */
const WAITING_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const OWN_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

class Counter {
  readonly #values = new Map<string, number>();

  add(labels: LabelValues, by = 1): void {
    const key = labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + by);
  }

  lines(name: string, help: string): string[] {
    return [...head(name, 'counter', help), ...[...this.#values].map(([labels, value]) => `${name}${labels} ${value}`)];
  }
}

class Histogram {
  readonly #boundsS: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(boundsS: readonly number[]) {
    this.#boundsS = boundsS;
    this.#counts = boundsS.map(() => 0);
  }

  observe(seconds: number): void {
    this.#sum += seconds;
    this.#count += 1;
    const at = this.#boundsS.findIndex((bound) => seconds <= bound);
    if (at >= 0) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  lines(name: string, help: string): string[] {
    let below = 0;
    const buckets = this.#boundsS.map((bound, index) => {
      below += this.#counts[index] ?? 0;
      return `${name}_bucket{le="${bound}"} ${below}`;
    });
    return [
      ...head(name, 'histogram', help),
      ...buckets,
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

function head(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

/** A label's value is text of any kind; the format escapes three characters. */
function labelText(labels: LabelValues): string {
  const said = Object.entries(labels).map(([key, value]) => `${key}="${value.replace(/[\\"\n]/g, escaped)}"`);
  return said.length === 0 ? '' : `{${said.join(',')}}`;
}

function escaped(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`;
}

/** Counts what goes on in this process. */
export class Metrics {
  readonly #calls = new Counter();
  readonly #tokens = new Counter();
  readonly #spent = new Counter();
  readonly #refusals = new Counter();
  readonly #failovers = new Counter();
  readonly #took = new Histogram(WAITING_S);
  readonly #firstWords = new Histogram(WAITING_S);
  readonly #added = new Histogram(OWN_S);
  #streams = 0;

  /** A call of the router's ended, by whichever door it came. */
  ended({ outcome }: CallEnd, { role, tookMs }: { role: string; tookMs: number }): void {
    const { status, target, usage, code, attempts } = outcome;
    // A role that policy does not have is whatever a caller made up.
    const of = { role: code === 'no_route' ? '' : role, target: target ?? '' };
    this.#calls.add({ ...of, outcome: status });
    this.#took.observe(tookMs / 1_000);
    // One that had begun and was refused its next model is incomplete, and a refusal as well.
    if (code !== null && (status === 'refused' || isRefusal(code))) this.#refusals.add({ code });
    const made = attempts.filter((attempt) => attempt.outcome !== 'skipped');
    for (const attempt of made) {
      if (attempt.cost_micro_usd > 0)
        this.#spent.add({ role: of.role, target: attempt.target }, attempt.cost_micro_usd);
    }
    for (const left of made.slice(0, -1)) this.#failovers.add({ from: left.target, why: left.code ?? '' });
    for (const [kind, count] of Object.entries(usage ?? {})) {
      if (count > 0) this.#tokens.add({ ...of, kind: kind.replace('_tokens', '') }, count);
    }
  }

  /** A request to the gateway was refused before it was a call. */
  refused(code: ErrorCode): void {
    this.#refusals.add({ code });
  }

  /** The first words of a stream went out, so long after it was asked for. */
  firstWords(tookMs: number): void {
    this.#firstWords.observe(tookMs / 1_000);
  }

  /** A request to the gateway was answered; so much of its time no model was asked. */
  added(ms: number): void {
    this.#added.observe(ms / 1_000);
  }

  /** A stream is open until the returned function is called. */
  streamOpened(): () => void {
    this.#streams += 1;
    return () => {
      this.#streams -= 1;
    };
  }

  lines(): string[] {
    const since = 'since this process began';
    return [
      ...this.#calls.lines('seed_calls_total', `Calls to models that ended, ${since}.`),
      ...this.#tokens.lines('seed_tokens_total', `Tokens that providers reported, ${since}.`),
      ...this.#spent.lines('seed_spent_micro_usd_total', `What attempts were settled at, in micro-dollars, ${since}.`),
      ...this.#refusals.lines('seed_refusals_total', `Calls and requests to the gateway that were refused, ${since}.`),
      ...this.#failovers.lines('seed_failovers_total', `Attempts that another one followed, ${since}.`),
      ...this.#took.lines('seed_call_seconds', `From a call's beginning to its end, ${since}.`),
      ...this.#firstWords.lines('seed_first_words_seconds', `From a streamed request to its first words, ${since}.`),
      ...this.#added.lines(
        'seed_added_seconds',
        `From a request to its answer's end, without the time that models took, ${since}.`,
      ),
      ...gauge('seed_open_streams', 'Streams of the gateway that are open.', this.#streams),
    ];
  }
}

function isRefusal(code: string): boolean {
  return Object.hasOwn(ERROR_CODES, code) && ERROR_CODES[code as ErrorCode].kind === 'refused';
}

function gauge(name: string, help: string, value: number): string[] {
  return [...head(name, 'gauge', help), `${name} ${value}`];
}

/** All of it as text. */
export async function renderMetrics({
  substrate,
  metrics,
  requestBytes,
}: {
  readonly substrate: Substrate;
  readonly metrics: Metrics;
  /** Of clients' requests that are held in memory. */
  readonly requestBytes: number;
}): Promise<string> {
  const { size } = await substrate.log();
  const memory = process.memoryUsage();
  const lines = [
    ...metrics.lines(),
    ...gauge(
      'seed_held_micro_usd',
      'Money held for calls under way, in micro-dollars (durable).',
      await substrate.read(readHeldMicroUsd),
    ),
    ...gauge('seed_gateway_request_bytes', 'Bytes of requests that the gateway holds in memory.', requestBytes),
    ...gauge('seed_receipts', 'Receipts in the log (durable).', size),
    ...gauge(
      'seed_receipts_unanchored',
      'Receipts since the last checkpoint that was kept outside the database.',
      size - outsideSize(substrate),
    ),
    ...gauge('process_resident_memory_bytes', 'Resident memory of this process.', memory.rss),
    ...gauge('nodejs_heap_used_bytes', 'Heap in use.', memory.heapUsed),
  ];
  return `${lines.join('\n')}\n`;
}

/** How many receipts the checkpoint outside covers. */
function outsideSize({ home, root, seed }: Substrate): number {
  const held = readHeld(homePath(home, 'checkpoint'));
  if (held === null) return 0;
  return openCheckpoint(held, { origin: originOf(seed), publicKeys: root.everyLogKey, sha: fastSha256 }).size;
}
