/** The policy as its owner reads it: the file that its rows amount to, and what changes between two. */
import { stringify } from 'yaml';
import { formatUsd } from './money.ts';
import type { CeilingRow, PolicyRows, PriceRow, RoutingRow, TargetRow } from './rows.ts';

/**
 * The YAML that {@link readDocument} reads as these rows. Rows that make no sense are written as they
 * are, so that the file says the same nonsense on a line of its own.
 */
export function renderPolicy(rows: PolicyRows): string {
  const roles = Map.groupBy(rows.routing, ({ role }) => role);
  const prices = rows.prices.filter(({ source }) => source === 'owner');
  const whole = {
    version: 1,
    ...(rows.timezone === null ? {} : { timezone: rows.timezone }),
    targets: Object.fromEntries(rows.targets.map((target) => [target.name, targetOf(target)])),
    roles: Object.fromEntries([...roles].map(([role, candidates]) => [role, roleOf(candidates)])),
    ceilings: rows.ceilings.map(ceilingOf),
    prices: prices.map(priceOf),
  };
  return stringify(whole, { lineWidth: 0, defaultStringType: 'PLAIN', aliasDuplicateObjects: false });
}

function targetOf({ provider, base_url, credential }: TargetRow): object {
  return { provider, base_url, ...(credential === null ? {} : { credential }) };
}

function roleOf(rows: readonly RoutingRow[]): object {
  const [head] = rows;
  const candidates = rows.map(({ target, model, tier }) => ({ target, model, tier }));
  return { dispatch: head?.dispatch, ...readObject(head?.limits ?? '{}'), candidates };
}

function readObject(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { limits: value };
  } catch {
    return { limits: text };
  }
}

function ceilingOf({ scope, window, limit_micro_usd: limit }: CeilingRow): object {
  return { scope, window, usd: formatUsd(limit) };
}

function priceOf({ target, model, input, output, cached_input, cache_write }: PriceRow): object {
  return {
    target,
    model,
    input_usd_per_mtok: formatUsd(input),
    output_usd_per_mtok: formatUsd(output),
    ...(cached_input === null ? {} : { cached_input_usd_per_mtok: formatUsd(cached_input) }),
    ...(cache_write === null ? {} : { cache_write_usd_per_mtok: formatUsd(cache_write) }),
  };
}

// ---------------------------------------------------------------------------------------------
// What changes

export interface PolicyChange {
  readonly kind: 'added' | 'removed' | 'changed';
  /** What it is about, such as `role worker` or `ceiling seed/day`. */
  readonly what: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** What becomes different, a line for each thing that a person would name. */
export function comparePolicies(before: PolicyRows, after: PolicyRows): PolicyChange[] {
  const [old, now] = [linesOf(before), linesOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((what) => {
    const [was, is] = [old.get(what) ?? null, now.get(what) ?? null];
    if (was === is) return [];
    const kind = was === null ? 'added' : is === null ? 'removed' : 'changed';
    return [{ kind, what, before: was, after: is } as const];
  });
}

function linesOf(rows: PolicyRows): Map<string, string> {
  const lines = new Map<string, string>();
  if (rows.timezone !== null) lines.set('timezone', rows.timezone);
  for (const { name, provider, base_url, credential } of rows.targets) {
    const key = credential === null ? 'no credential' : `credential ${credential}`;
    lines.set(`target ${name}`, `${provider} at ${base_url}, ${key}`);
  }
  for (const { role, dispatch, limits, position, target, model, tier } of rows.routing) {
    lines.set(`role ${role}`, [dispatch, ...limits.replaceAll(/[{}"]/g, '').split(',').filter(Boolean)].join(', '));
    lines.set(`role ${role} #${position}`, `${target} ${model}, tier ${tier}`);
  }
  for (const { scope, window, limit_micro_usd: limit } of rows.ceilings) {
    lines.set(`ceiling ${scope}/${window}`, `$${formatUsd(limit)}`);
  }
  for (const price of rows.prices)
    lines.set(`price ${price.target} ${price.model} (${price.source})`, priceLine(price));
  return lines;
}

function priceLine({ input, output, cached_input, cache_write }: PriceRow): string {
  const parts = [`$${formatUsd(input)} in`, `$${formatUsd(output)} out`];
  if (cached_input !== null) parts.push(`$${formatUsd(cached_input)} cached`);
  if (cache_write !== null) parts.push(`$${formatUsd(cache_write)} cache write`);
  return `${parts.join(', ')} per million tokens`;
}
