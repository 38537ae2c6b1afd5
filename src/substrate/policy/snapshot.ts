/**
 * One state of the policy's rows, made sense of: what each role resolves to, or why to nothing.
 *
 * Pure. A row that cannot be read makes the roles that it belongs to resolve to null, and where it
 * cannot be told which those are, all of them: nothing is ever assumed in its place.
 */
import type { z } from 'zod';
import { isFloorAboveMax, LIMIT_DEFAULTS, Limits, POLICY_LIMITS, sayIssue } from './fields.ts';
import type { Candidate, Ceiling, CeilingWindow, Notice, Price, Routing, Target } from './model.ts';
import type { CeilingRow, PolicyRows, PriceRow, RoutingRow, TargetRow } from './rows.ts';
import {
  CeilingFields,
  NoticeFields,
  PriceFields,
  ROWS_MAX,
  RoutingFields,
  TargetFields,
  TimezoneFields,
} from './rows.ts';

/** Why a role resolves to null, for a person. */
export interface PolicyProblem {
  /** Which row, such as `substrate_targets anthropic`. */
  readonly row: string;
  readonly problem: string;
  readonly todo: string;
}

export interface Resolution {
  readonly routing: Routing | null;
  readonly problems: readonly PolicyProblem[];
}

/** An edit from outside that the owner has not acknowledged, where a passphrase makes that needed. */
export interface PendingChange {
  readonly id: number;
  readonly table: string;
  readonly before: string | null;
  readonly after: string | null;
}

export interface SnapshotFacts {
  readonly rows: PolicyRows;
  readonly policyVersion: string;
  readonly pending: readonly PendingChange[];
  /** False where the triggers that record edits are not those that they should be. */
  readonly isGuarded: boolean;
  /** False where the rows are not those that the owner confirmed, and no edit on record says why. */
  readonly isWhole: boolean;
}

type Dispatch = 'any' | 'cron';

const MEND = 'Mend the row, or bring the policy back with `seed policy apply FILE` or `seed policy rollback N`.';

function first<T>(parsed: z.ZodSafeParseResult<T>, row: object): string | null {
  if (parsed.success) return null;
  const [issue] = parsed.error.issues;
  if (issue === undefined) return 'The row cannot be read.';
  return sayIssue(issue, (row as Record<PropertyKey, unknown>)[issue.path[0] ?? '']);
}

/** The problem of one row, or null where it is as it should be. */
function faultOf(schema: z.ZodType, row: object, name: string): PolicyProblem | null {
  const problem = first(schema.safeParse(row), row);
  return problem === null ? null : { row: name, problem, todo: MEND };
}

export class PolicySnapshot {
  readonly #facts: SnapshotFacts;
  /** What makes every role resolve to null. */
  readonly common: readonly PolicyProblem[];
  /** Null where the table cannot be read: then nothing may be spent. */
  readonly ceilings: readonly Ceiling[] | null;
  /** Null where it cannot be read. */
  readonly timezone: string | null;
  /** What the owner wants to be told; null where that cannot be read, or waits for the owner's word. */
  readonly notices: readonly Notice[] | null;
  readonly #targets: ReadonlyMap<string, TargetRow>;
  readonly #resolved = new Map<string, Resolution>();
  readonly #roles: ReadonlyMap<string, readonly RoutingRow[]>;
  readonly #prices: ReadonlyMap<string, readonly PriceRow[]>;

  constructor(facts: SnapshotFacts) {
    this.#facts = facts;
    const { rows } = facts;
    const ceilingFaults = ceilingProblems(rows);
    const zoneFaults = zoneProblems(rows);
    this.ceilings = ceilingFaults.length === 0 ? rows.ceilings.map(toCeiling) : null;
    this.timezone = zoneFaults.length === 0 ? (rows.timezone ?? LIMIT_DEFAULTS.timezone) : null;
    this.notices = noticesOf(facts);
    this.common = [
      ...(facts.isGuarded ? [] : [unguarded()]),
      ...(facts.isWhole ? [] : [unaccounted()]),
      ...zoneFaults,
      ...ceilingFaults,
      ...unattributable(rows),
      ...facts.pending.filter((change) => rolesTouched(change, rows) === 'all').map(unacknowledged),
    ];
    this.#targets = new Map(rows.targets.map((row) => [row.name, row]));
    this.#roles = Map.groupBy(rows.routing, ({ role }) => role);
    this.#prices = Map.groupBy(rows.prices, ({ target, model }) => priceKey(target, model));
  }

  get rows(): PolicyRows {
    return this.#facts.rows;
  }

  get policyVersion(): string {
    return this.#facts.policyVersion;
  }

  /** Edits from outside that do not count before the owner acknowledged them; 0 where no passphrase is set. */
  get pendingEdits(): number {
    return this.#facts.pending.length + (this.#facts.isWhole ? 0 : 1);
  }

  get roles(): readonly string[] {
    return [...this.#roles.keys()];
  }

  /** The candidates of a role, or the reasons why there are none. */
  resolve(role: string, dispatch: Dispatch): Resolution {
    const rows = this.#roles.get(role);
    // Not remembered: what callers make up must not fill the memory.
    if (rows === undefined) return { routing: null, problems: [...this.common, unknownRole(role)] };
    const key = `${dispatch} ${role}`;
    const known = this.#resolved.get(key);
    if (known !== undefined) return known;
    const resolution = this.#resolve(role, dispatch, rows);
    this.#resolved.set(key, resolution);
    return resolution;
  }

  #resolve(role: string, dispatch: Dispatch, rows: readonly RoutingRow[]): Resolution {
    const pending = this.#facts.pending.filter((change) => touches(change, role, this.#facts.rows));
    const problems = [
      ...this.common,
      ...pending.map(unacknowledged),
      ...roleProblems(role, dispatch, rows),
      ...rows.flatMap((row) => this.#candidateProblems(row)),
    ];
    const [head] = rows;
    if (problems.length > 0 || head === undefined) return { routing: null, problems };
    return { routing: this.#routing(head, rows), problems };
  }

  #candidateProblems(row: RoutingRow): PolicyProblem[] {
    const name = routingName(row);
    const fault = faultOf(RoutingFields, row, name);
    if (fault !== null) return [fault];
    const target = this.#targets.get(row.target);
    if (target === undefined) {
      const problem = `There is no target ${quoted(row.target)}.`;
      return [{ row: name, problem, todo: 'Name a target that there is, or add it to the targets.' }];
    }
    const targetFault = faultOf(TargetFields, target, `substrate_targets ${target.name}`);
    const prices = this.#prices.get(priceKey(row.target, row.model)) ?? [];
    return [targetFault, ...prices.map((price) => faultOf(PriceFields, price, priceName(price)))].filter(
      (problem) => problem !== null,
    );
  }

  /** Only for rows that were found to be right. */
  #routing({ role, dispatch, limits }: RoutingRow, rows: readonly RoutingRow[]): Routing {
    const said = Limits.parse(JSON.parse(limits));
    const maxOutputTokens = said.max_output_tokens ?? LIMIT_DEFAULTS.maxOutputTokens;
    const { timeouts } = LIMIT_DEFAULTS;
    return {
      role,
      dispatch: dispatch as Dispatch,
      maxOutputTokens,
      minOutputTokens: said.min_output_tokens ?? Math.min(LIMIT_DEFAULTS.minOutputTokens, maxOutputTokens),
      timeouts: {
        firstTokenMs: said.timeouts_ms?.first_token ?? timeouts.firstTokenMs,
        idleMs: said.timeouts_ms?.idle ?? timeouts.idleMs,
        totalMs: said.timeouts_ms?.total ?? timeouts.totalMs,
      },
      onCeiling: said.on_ceiling ?? LIMIT_DEFAULTS.onCeiling,
      candidates: rows.map((row) => this.#candidate(row)),
      policyVersion: this.#facts.policyVersion,
    };
  }

  #candidate({ position, target, model, tier, context_tokens: contextTokens }: RoutingRow): Candidate {
    const row = this.#targets.get(target);
    if (row === undefined) throw new TypeError(`No target ${target}.`);
    const price = choosePrice(this.#prices.get(priceKey(target, model)) ?? []);
    return { position, target: toTarget(row), model, tier: tier as Candidate['tier'], contextTokens, price };
  }
}

// ---------------------------------------------------------------------------------------------
// From rows to values

function toTarget({ name, provider, base_url: baseUrl, credential }: TargetRow): Target {
  return { name, provider: provider as Target['provider'], baseUrl, credential };
}

function toCeiling({ scope, window, limit_micro_usd: limitMicroUsd }: CeilingRow): Ceiling {
  return { name: `${scope}/${window}`, scope, window: window as CeilingWindow, limitMicroUsd };
}

const PRICE_ORDER = ['owner', 'catalogue', 'local'];
const PRICE_NAMES: Readonly<Record<string, string>> = { owner: 'owner', catalogue: 'genai-prices', local: 'local' };

/** The owner's own price before any other; null where there is none. */
export function choosePrice(rows: readonly PriceRow[]): Price | null {
  const [row] = rows.toSorted((a, b) => PRICE_ORDER.indexOf(a.source) - PRICE_ORDER.indexOf(b.source));
  if (row === undefined) return null;
  return {
    input: row.input,
    output: row.output,
    cachedInput: row.cached_input ?? row.input,
    cacheWrite: row.cache_write ?? row.input,
    version: `${PRICE_NAMES[row.source]}:${row.edition}`,
  };
}

/** Nobody's call hangs on them: what is wrong with them makes nothing else resolve to null. */
function noticesOf({ rows: { notices }, pending, isGuarded, isWhole }: SnapshotFacts): readonly Notice[] | null {
  const parsed = NoticeFields.array().max(POLICY_LIMITS.notices).safeParse(notices);
  const isConfirmed = isGuarded && isWhole && !pending.some(({ table }) => NOTICE_TABLES.has(table));
  return parsed.success && isConfirmed ? parsed.data : null;
}

/** `the policy` stands for too many edits to be looked at one by one. */
const NOTICE_TABLES: ReadonlySet<string> = new Set(['substrate_notices', 'the policy']);

// ---------------------------------------------------------------------------------------------
// What is wrong

function ceilingProblems({ ceilings }: PolicyRows): PolicyProblem[] {
  return ceilings.flatMap((row) => {
    const fault = faultOf(CeilingFields, row, `substrate_ceilings ${row.scope} ${row.window}`);
    return fault === null ? [] : [{ ...fault, problem: `${fault.problem} Nothing is spent until it can be read.` }];
  });
}

function zoneProblems({ timezone }: PolicyRows): PolicyProblem[] {
  const fault = timezone === null ? null : faultOf(TimezoneFields, { timezone }, 'substrate_policy');
  return fault === null ? [] : [fault];
}

/** By these it is told whose a row is. */
const RoleField = RoutingFields.pick({ role: true });
const PriceKey = PriceFields.pick({ target: true, model: true });

/** Rows of which nobody can say whose they are, and tables too long to be read. */
function unattributable({ targets, routing, prices, ceilings }: PolicyRows): PolicyProblem[] {
  const unnamed = [
    ...routing.map((row) => ({ row: routingName(row), fault: faultOf(RoleField, row, '') })),
    ...prices.map((row) => ({
      row: priceName(row),
      fault: faultOf(PriceKey, row, ''),
    })),
  ].flatMap(({ row, fault }) =>
    fault === null ? [] : [{ ...fault, row, problem: `${fault.problem} It may have been any role’s.` }],
  );
  const long = Object.entries({ targets, routing, prices, ceilings }).flatMap(([table, { length }]) =>
    length > ROWS_MAX ? [{ row: table, problem: `There are more than ${ROWS_MAX} rows.`, todo: 'Delete rows.' }] : [],
  );
  return [...unnamed, ...long];
}

function roleProblems(role: string, dispatch: Dispatch, rows: readonly RoutingRow[]): PolicyProblem[] {
  const row = `substrate_routing_config ${role}`;
  const problems: PolicyProblem[] = [];
  const say = (problem: string, todo: string = MEND): number => problems.push({ row, problem, todo });
  const [head] = rows;
  if (head === undefined) return problems;
  if (rows.length > POLICY_LIMITS.candidatesPerRole)
    say(`There are more than ${POLICY_LIMITS.candidatesPerRole} candidates.`);
  if (rows.some((each) => each.dispatch !== head.dispatch)) say('Its rows name different dispatches.');
  const limits = limitsProblem(head.limits);
  if (limits !== null) say(limits);
  else if (rows.some((each) => !sameLimits(each.limits, head.limits))) say('Its rows name different limits.');
  if (head.dispatch !== 'cron' && rows.some(({ tier }) => tier === 1)) {
    say(
      'A tier-1 model stands in a role that can be called on demand.',
      'Make the role’s dispatch cron, or take it out.',
    );
  }
  if (head.dispatch === 'cron' && dispatch !== 'cron') {
    say(
      'This role is for the drain alone, not for a call on demand.',
      'Queue the work, and drain it: `seed route drain`.',
    );
  }
  return problems;
}

function readLimits(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function limitsProblem(text: string): string | null {
  const value = readLimits(text);
  if (typeof value !== 'object' || value === null) return 'limits is not a JSON object.';
  const parsed = Limits.safeParse(value);
  if (parsed.success) return isFloorAboveMax(parsed.data) ? 'min_output_tokens is above max_output_tokens.' : null;
  const [issue] = parsed.error.issues;
  const at = issue?.path.reduce<unknown>((inner, step) => (inner as Record<PropertyKey, unknown>)[step], value);
  return issue === undefined ? 'limits cannot be read.' : `limits: ${sayIssue(issue, at)}`;
}

/** Whatever the order of their keys; only for texts of which one was found to be right. */
function sameLimits(text: string, other: string): boolean {
  if (text === other) return true;
  const [a, b] = [Limits.safeParse(readLimits(text)), Limits.safeParse(readLimits(other))];
  return a.success && b.success && limitsText(a.data) === limitsText(b.data);
}

/** Limits as the rows of a role hold them: the same text for the same limits. */
export function limitsText({ max_output_tokens, min_output_tokens, timeouts_ms, on_ceiling }: Limits): string {
  const timeouts = timeouts_ms && {
    first_token: timeouts_ms.first_token,
    idle: timeouts_ms.idle,
    total: timeouts_ms.total,
  };
  return JSON.stringify({ max_output_tokens, min_output_tokens, timeouts_ms: timeouts, on_ceiling });
}

function unknownRole(role: string): PolicyProblem {
  return {
    row: 'substrate_routing_config',
    problem: `There is no role ${quoted(role)}.`,
    todo: 'See `seed policy show` for the roles that there are.',
  };
}

function unguarded(): PolicyProblem {
  return {
    row: 'policy_change',
    problem: 'The triggers that record edits of the policy are missing or were changed.',
    todo: 'Stop the seed and restore its database from a backup.',
  };
}

function unaccounted(): PolicyProblem {
  return {
    row: 'policy_change',
    problem: 'The rows are not those that the owner confirmed, and the record of edits does not say why.',
    todo: 'Look at them with `seed policy show`, and apply your own file again.',
  };
}

function unacknowledged({ id, table }: PendingChange): PolicyProblem {
  return {
    row: table,
    problem: `It was edited outside (change ${id}), and the owner has not acknowledged that.`,
    todo: 'Look at it with `seed policy history`, then `seed policy ack`, or apply your policy again.',
  };
}

// ---------------------------------------------------------------------------------------------
// Whom a change touches

/** The roles that an edit of a row bears on. */
function rolesTouched({ table, before, after }: PendingChange, { routing }: PolicyRows): ReadonlySet<string> | 'all' {
  const sides = [before, after].filter((side) => side !== null).map(readLimits) as Record<string, unknown>[];
  if (sides.some((side) => side === undefined)) return 'all';
  const named = (column: string): ReadonlySet<unknown> => new Set(sides.map((side) => side[column]));
  const rolesWith = (fits: (row: RoutingRow) => boolean): ReadonlySet<string> =>
    new Set(routing.filter(fits).map(({ role }) => role));
  switch (table) {
    case 'substrate_routing_config':
      return named('role') as ReadonlySet<string>;
    case 'substrate_targets':
      return rolesWith(({ target }) => named('name').has(target));
    case 'substrate_prices':
      return rolesWith(({ target, model }) => named('target').has(target) && named('model').has(model));
    case 'substrate_notices':
      return new Set();
    default:
      return 'all';
  }
}

function touches(change: PendingChange, role: string, rows: PolicyRows): boolean {
  const roles = rolesTouched(change, rows);
  return roles !== 'all' && roles.has(role);
}

// ---------------------------------------------------------------------------------------------
// Names of rows

function priceKey(target: string, model: string): string {
  return `${target}\0${model}`;
}

function routingName({ role, position }: RoutingRow): string {
  return `substrate_routing_config ${role} #${position}`;
}

function priceName({ target, model, source }: PriceRow): string {
  return `substrate_prices ${target} ${model} (${source})`;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
