/** What every benchmark reports, and how it is shown: measures, ratios and goals. */

export interface Measure {
  readonly name: string;
  readonly unit: '/s' | 'ms' | 'MB';
  /** One value a round, or a slice of one. */
  readonly samples: readonly number[];
  /** Milliseconds an operation took, over all rounds. */
  readonly latency?: Latency | undefined;
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Goal {
  readonly name: string;
  readonly unit: Measure['unit'] | '';
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly best: number;
  readonly median: number;
}

export interface BenchReport {
  readonly bench: string;
  /** Where it ran: processor, Node, file system and the like. */
  readonly machine: Readonly<Record<string, string | number>>;
  readonly measures: readonly Measure[];
  readonly ratios: readonly Ratio[];
  readonly goals: readonly Goal[];
}

export interface Ratio {
  readonly name: string;
  readonly best: number;
  readonly median: number;
}

export interface BenchOptions {
  /** The folder to work in; removed afterwards. */
  readonly folder: string;
  readonly rounds: number;
  /** How many receipts a large home has. */
  readonly receipts: number;
  /** Told what is being measured; for a person who waits. */
  readonly say: (text: string) => void;
}

/** One benchmark: `npm run bench -- <name>`. */
export interface Bench {
  readonly about: string;
  readonly run: (options: BenchOptions) => Promise<BenchReport>;
}

function sorted(samples: readonly number[]): number[] {
  return [...samples].sort((a, b) => a - b);
}

/** The value below which a share of the samples lies (nearest rank). */
function quantile(samples: readonly number[], share: number): number {
  const values = sorted(samples);
  return values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  const values = sorted(samples);
  const middle = Math.floor(values.length / 2);
  const [low, high] = [values[middle - 1] ?? Number.NaN, values[middle] ?? Number.NaN];
  return values.length % 2 === 1 ? high : (low + high) / 2;
}

/** The least disturbed round: other work on the machine only ever slows. */
export function best({ unit, samples }: Pick<Measure, 'unit' | 'samples'>): number {
  return unit === '/s' ? Math.max(...samples) : Math.min(...samples);
}

export function latencyOf(tookMs: readonly number[]): Latency {
  return { p50Ms: quantile(tookMs, 0.5), p99Ms: quantile(tookMs, 0.99) };
}

/** Slice by slice, since what disturbed one measure disturbed its neighbour too; the best is that of the least disturbed slices. */
export function ratioOf(name: string, over: Measure, under: Measure): Ratio {
  const ratios = over.samples.map((value, round) => value / (under.samples[round] ?? Number.NaN));
  return { name, best: best(over) / best(under), median: median(ratios) };
}

/** `reached` in the median round, only in the `best` one, or `missed`. */
function verdictOf({ atLeast, atMost, best: top, median: middle }: Goal): 'reached' | 'best' | 'missed' {
  const holds = (value: number): boolean =>
    (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost);
  if (holds(middle)) return 'reached';
  return holds(top) ? 'best' : 'missed';
}

function number(value: number): string {
  if (Number.isNaN(value)) return '';
  if (value >= 1_000) return Math.round(value).toLocaleString('en');
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function withUnit(value: number, unit: Goal['unit']): string {
  return unit === '/s' ? `${number(value)}/s` : unit === '' ? number(value) : `${number(value)} ${unit}`;
}

/** Columns under headings; all but the first are numbers and stand to the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** The report as text for a terminal. */
export function renderReport({ bench, machine, measures, ratios, goals }: BenchReport): string {
  const facts = Object.entries(machine).map(([name, value]) => `  ${name.padEnd(11)} ${value}`);
  const measured = measures.map((measure) => [
    measure.name,
    withUnit(best(measure), measure.unit),
    withUnit(median(measure.samples), measure.unit),
    measure.latency === undefined ? '' : `${number(measure.latency.p50Ms)} ms`,
    measure.latency === undefined ? '' : `${number(measure.latency.p99Ms)} ms`,
  ]);
  const compared = ratios.map(({ name, best: top, median: middle }) => [name, number(top), number(middle)]);
  const words = { reached: 'reached', best: 'reached in the best round only', missed: 'MISSED' };
  const judged = goals.map((goal) => [
    goal.name,
    goal.atLeast === undefined
      ? `≤ ${withUnit(goal.atMost ?? 0, goal.unit)}`
      : `≥ ${withUnit(goal.atLeast, goal.unit)}`,
    withUnit(goal.best, goal.unit),
    withUnit(goal.median, goal.unit),
    words[verdictOf(goal)],
  ]);
  return [
    `bench ${bench}`,
    ...facts,
    '',
    ...columns([['MEASURE', 'BEST', 'MEDIAN', 'P50', 'P99'], ...measured]),
    '',
    ...columns([['RATIO', 'BEST', 'MEDIAN'], ...compared]),
    '',
    ...columns([['GOAL', 'BOUND', 'BEST', 'MEDIAN', 'VERDICT'], ...judged]),
  ].join('\n');
}

/** The report for a program: the same, with the sums done. */
export function reportJson(report: BenchReport): object {
  return {
    ...report,
    measures: report.measures.map((measure) => ({
      ...measure,
      best: best(measure),
      median: median(measure.samples),
    })),
    goals: report.goals.map((goal) => ({ ...goal, verdict: verdictOf(goal) })),
  };
}
