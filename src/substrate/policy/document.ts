/**
 * The policy's file: YAML 1.2 (of which JSON is a part), read strictly, each problem with its line.
 *
 * Nothing in it is guessed: an unknown or a repeated key, an anchor, a tag, a number where money is
 * meant, or anything too large or too deep is a problem, and a file with a problem is not applied.
 */
import type { Document, Node, YAMLMap } from 'yaml';
import { isAlias, isCollection, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import * as z from 'zod';
import {
  BaseUrl,
  ContextTokens,
  Dispatch,
  DOCUMENT_CHARS_MAX,
  isFloorAboveMax,
  LIMIT_FIELDS,
  LimitMicroUsd,
  Model,
  Name,
  NoticeEventField,
  POLICY_LIMITS,
  PriceMicroUsd,
  Provider,
  sayIssue,
  ScopeField,
  TierField,
  Timezone,
  Window,
} from './fields.ts';
import { parseUsd } from './money.ts';
import type { PolicyRows, PriceRow } from './rows.ts';
import { limitsText } from './snapshot.ts';

/** How many maps and lists may stand inside one another; an honest policy has five. */
const DEPTH_MAX = 12;
const PROBLEMS_MAX = 100;

/** Something in the file, with the line that it stands on; null where it concerns the file as a whole. */
export interface DocumentRemark {
  readonly line: number | null;
  readonly message: string;
}

export interface ReadDocument {
  /** Null where there is any problem. The prices are the owner's alone; their edition is still empty. */
  readonly rows: PolicyRows | null;
  readonly problems: readonly DocumentRemark[];
  /** What is allowed, and hardly meant. */
  readonly warnings: readonly DocumentRemark[];
}

const Decimal = z.string().transform((text, context) => {
  const amount = parseUsd(text);
  if (amount !== null) return amount;
  context.addIssue({ code: 'custom', message: 'no amount' });
  return z.NEVER;
});
const Usd = Decimal.pipe(LimitMicroUsd);
const PriceUsd = Decimal.pipe(PriceMicroUsd);

const DocumentFields = z.strictObject({
  version: z.literal(1),
  timezone: Timezone.optional(),
  targets: z.record(Name, z.strictObject({ provider: Provider, base_url: BaseUrl, credential: Name.optional() })),
  roles: z.record(
    Name,
    z.strictObject({
      dispatch: Dispatch,
      ...LIMIT_FIELDS,
      candidates: z
        .array(
          z.strictObject({ target: Name, model: Model, tier: TierField, context_tokens: ContextTokens.optional() }),
        )
        .min(1)
        .max(POLICY_LIMITS.candidatesPerRole),
    }),
  ),
  ceilings: z
    .array(z.strictObject({ scope: ScopeField, window: Window, usd: Usd }))
    .max(POLICY_LIMITS.ceilings)
    .optional(),
  prices: z
    .array(
      z.strictObject({
        target: Name,
        model: Model,
        input_usd_per_mtok: PriceUsd,
        output_usd_per_mtok: PriceUsd,
        cached_input_usd_per_mtok: PriceUsd.optional(),
        cache_write_usd_per_mtok: PriceUsd.optional(),
      }),
    )
    .max(POLICY_LIMITS.prices)
    .optional(),
  notices: z
    .array(z.strictObject({ when: NoticeEventField, to: Name }))
    .max(POLICY_LIMITS.notices)
    .optional(),
});
type DocumentFields = z.infer<typeof DocumentFields>;

type Path = readonly (string | number)[];

/** Reads a policy's text; never throws for what stands in it. */
export function readDocument(text: string): ReadDocument {
  if (text.length > DOCUMENT_CHARS_MAX) {
    return refused([{ line: null, message: `The file has more than ${DOCUMENT_CHARS_MAX} characters.` }]);
  }
  const source = parseYaml(text);
  if ('problems' in source) return refused(source.problems);
  const parsed = DocumentFields.safeParse(source.value);
  if (!parsed.success) {
    return refused(parsed.error.issues.slice(0, PROBLEMS_MAX).flatMap((issue) => remarksOf(issue, source)));
  }
  const problems = contradictions(parsed.data).map((remark) => placed(remark, source));
  if (problems.length > 0) return refused(problems);
  const warnings = doubts(parsed.data).map((remark) => placed(remark, source));
  return { rows: toRows(parsed.data), problems: [], warnings };
}

function refused(problems: readonly DocumentRemark[]): ReadDocument {
  const sorted = problems.slice(0, PROBLEMS_MAX).toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
  return { rows: null, problems: sorted, warnings: [] };
}

// ---------------------------------------------------------------------------------------------
// YAML

interface Source {
  readonly value: unknown;
  readonly document: Document;
  readonly lines: LineCounter;
}

function parseYaml(text: string): Source | { readonly problems: readonly DocumentRemark[] } {
  if (looksTooDeep(text)) return { problems: [{ line: null, message: tooDeep() }] };
  const lines = new LineCounter();
  let document: Document;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2', uniqueKeys: false });
  } catch (error) {
    // The composer is recursive: what is far too deep overflows its stack.
    if (!(error instanceof RangeError)) throw error;
    return { problems: [{ line: null, message: tooDeep() }] };
  }
  const faults = [...document.errors, ...document.warnings]
    .slice(0, PROBLEMS_MAX)
    .map(({ pos: [offset], message }) => ({
      line: lines.linePos(offset).line,
      message: `This is not YAML: ${message}.`,
    }));
  const problems = faults.length > 0 ? faults : refusedNodes(document, lines);
  if (problems.length > 0) return { problems };
  return { value: document.toJS({ maxAliasCount: 0 }), document, lines };
}

/**
 * A rough look before the parser, which takes seconds for what is thousands deep: brackets that stay open,
 * and lists within lists on one line. What it lets through is looked at exactly once it is parsed.
 */
function looksTooDeep(text: string): boolean {
  let depth = 0;
  for (const bracket of text.match(/[[\]{}]/g) ?? []) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    if (depth > 4 * DEPTH_MAX) return true;
  }
  return /(?:[-?:][ \t]+){48}/.test(text);
}

function tooDeep(): string {
  return `More than ${DEPTH_MAX} maps and lists stand inside one another.`;
}

/** Keys that are no text, or stand there twice. (The parser's own check compares each key with each other.) */
function wrongKeys({ items }: YAMLMap): { readonly key: unknown; readonly message: string }[] {
  const seen = new Set<string>();
  return items.flatMap(({ key }) => {
    if (!isScalar(key) || typeof key.value !== 'string')
      return [{ key, message: 'A key must be text; put it in quotes.' }];
    if (seen.size < seen.add(key.value).size) return [];
    return [{ key, message: 'The same key stands here twice.' }];
  });
}

/** Anchors, aliases, tags, wrong keys and depth: none has a use in a policy. */
function refusedNodes(document: Document, lines: LineCounter): DocumentRemark[] {
  const problems: DocumentRemark[] = [];
  const say = (node: unknown, message: string): void => {
    const offset = isNode(node) ? node.range?.[0] : undefined;
    problems.push({ line: offset === undefined ? null : lines.linePos(offset).line, message });
  };
  const examine = (node: Node, path: readonly unknown[]): symbol | undefined => {
    if (isAlias(node) || ('anchor' in node && node.anchor !== undefined)) {
      say(node, 'Anchors and aliases are not taken here.');
    } else if (node.tag !== undefined) say(node, 'Tags are not taken here.');
    const isDeep = path.filter(isCollection).length >= DEPTH_MAX;
    if (isDeep) say(node, tooDeep());
    return isDeep || problems.length >= PROBLEMS_MAX ? visit.BREAK : undefined;
  };
  visit(document, {
    Map: (_key, map, path) => {
      for (const { key, message } of wrongKeys(map)) say(key, message);
      return examine(map, path);
    },
    Node: (_key, node, path) => examine(node, path),
  });
  return problems;
}

/** The line of what stands at a path, or of the nearest thing around it. */
function lineAt({ document, lines }: Source, path: Path): number | null {
  for (let length = path.length; length > 0; length--) {
    const offset = nodeAt(document, path.slice(0, length))?.range?.[0];
    if (offset !== undefined) return lines.linePos(offset).line;
  }
  return 1;
}

/** What a person means by the place: the key of a pair rather than its value. */
function nodeAt(document: Document, path: Path): Node | undefined {
  const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const last = path.at(-1);
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === last);
    return isNode(pair?.key) ? pair.key : undefined;
  }
  const item = isCollection(parent) ? parent.get(last, true) : undefined;
  return isNode(item) ? item : undefined;
}

// ---------------------------------------------------------------------------------------------
// Problems

interface Remark {
  readonly path: Path;
  readonly message: string;
}

function placed({ path, message }: Remark, source: Source): DocumentRemark {
  return { line: lineAt(source, path), message };
}

function remarksOf(issue: z.core.$ZodIssue, source: Source): DocumentRemark[] {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .slice(0, PROBLEMS_MAX)
      .map((key) => placed({ path: [...path, key], message: `There is no ${JSON.stringify(key)} here.` }, source));
  }
  const message = moneyHint(issue, source) ?? sayIssue(issue, valueAt(source.value, path));
  return [placed({ path, message: `${where(path)}${message}` }, source)];
}

/** The commonest mistake: an amount without its quotes is a float, and money is no float. */
function moneyHint({ path }: z.core.$ZodIssue, { value }: Source): string | null {
  const field = String(path.at(-1) ?? '');
  const given = valueAt(value, path as Path);
  if (!field.includes('usd') || typeof given !== 'number') return null;
  return `${field} must be in quotes, such as ${field}: "${given}".`;
}

function valueAt(value: unknown, path: Path): unknown {
  let found = value;
  for (const step of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return undefined;
    found = (found as Record<string | number, unknown>)[step];
  }
  return found;
}

/** `roles.worker.candidates.2: `; what stands at the end is named by the message itself. */
function where(path: Path): string {
  const around = path.slice(0, -1).join('.');
  return around === '' ? '' : `${around}: `;
}

/** What each field alone cannot show. */
function contradictions({ targets, roles, ceilings = [], prices = [], notices = [] }: DocumentFields): Remark[] {
  const found: Remark[] = [];
  const say = (path: Path, message: string): number => found.push({ path, message });
  if (Object.keys(targets).length > POLICY_LIMITS.targets)
    say(['targets'], `There are more than ${POLICY_LIMITS.targets} targets.`);
  if (Object.keys(roles).length > POLICY_LIMITS.roles)
    say(['roles'], `There are more than ${POLICY_LIMITS.roles} roles.`);
  for (const [name, { dispatch, candidates, ...limits }] of Object.entries(roles)) {
    if (isFloorAboveMax(limits))
      say(['roles', name, 'min_output_tokens'], `roles.${name}: min_output_tokens is above max_output_tokens.`);
    for (const [index, { target, tier }] of candidates.entries()) {
      const path = ['roles', name, 'candidates', index];
      if (!Object.hasOwn(targets, target)) say([...path, 'target'], `roles.${name}: there is no target "${target}".`);
      if (tier === 1 && dispatch !== 'cron') {
        say([...path, 'tier'], `roles.${name}: a tier-1 model may stand only in a role whose dispatch is cron.`);
      }
    }
  }
  for (const index of repeated(ceilings, ({ scope, window }) => `${scope} ${window}`)) {
    say(['ceilings', index], 'This scope and window have a ceiling already.');
  }
  for (const index of repeated(prices, ({ target, model }) => `${target} ${model}`)) {
    say(['prices', index], 'This model of this target has a price already.');
  }
  for (const index of repeated(notices, ({ when, to }) => `${when} ${to}`)) {
    say(['notices', index], 'This is told by that notifier already.');
  }
  return found;
}

function repeated<T>(items: readonly T[], keyOf: (item: T) => string): number[] {
  const seen = new Set<string>();
  return items.flatMap((item, index) => (seen.size === seen.add(keyOf(item)).size ? [index] : []));
}

function doubts({ targets, roles, ceilings = [], prices = [] }: DocumentFields): Remark[] {
  const found: Remark[] = [];
  const say = (path: Path, message: string): number => found.push({ path, message });
  if (ceilings.length === 0) say([], 'There is no ceiling: nothing limits what is spent.');
  for (const [index, { scope }] of ceilings.entries()) {
    const role = /^role:([^*]+)$/.exec(scope)?.[1];
    if (role !== undefined && !Object.hasOwn(roles, role)) {
      say(['ceilings', index, 'scope'], `There is no role "${role}": this ceiling limits nothing.`);
    }
  }
  for (const [index, { target }] of prices.entries()) {
    if (!Object.hasOwn(targets, target))
      say(['prices', index, 'target'], `There is no target "${target}": this price is of no use.`);
  }
  return found;
}

// ---------------------------------------------------------------------------------------------
// Rows

function toRows({ timezone, targets, roles, ceilings = [], prices = [], notices = [] }: DocumentFields): PolicyRows {
  return {
    timezone: timezone ?? null,
    targets: Object.entries(targets).map(([name, { provider, base_url, credential = null }]) => ({
      name,
      provider,
      base_url,
      credential,
    })),
    routing: Object.entries(roles).flatMap(([role, { dispatch, candidates, ...limits }]) =>
      candidates.map(({ target, model, tier, context_tokens = null }, index) => ({
        role,
        dispatch,
        position: index + 1,
        target,
        model,
        tier,
        context_tokens,
        limits: limitsText(limits),
      })),
    ),
    prices: prices.map(
      (price): PriceRow => ({
        target: price.target,
        model: price.model,
        source: 'owner',
        edition: '',
        input: price.input_usd_per_mtok,
        output: price.output_usd_per_mtok,
        cached_input: price.cached_input_usd_per_mtok ?? null,
        cache_write: price.cache_write_usd_per_mtok ?? null,
      }),
    ),
    ceilings: ceilings.map(({ scope, window, usd }) => ({ scope, window, limit_micro_usd: usd })),
    notices: notices.map(({ when, to }) => ({ event: when, notifier: to })),
  };
}
