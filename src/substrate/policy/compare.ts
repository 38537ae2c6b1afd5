/** What changes between two policies, in a person's words. */
import { formatUsd } from './money.ts';
import type { PolicyRows, PriceRow } from './rows.ts';

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
  for (const { role, dispatch, limits, position, target, model, tier, context_tokens: context } of rows.routing) {
    lines.set(`role ${role}`, [dispatch, ...limits.replaceAll(/[{}"]/g, '').split(',').filter(Boolean)].join(', '));
    lines.set(
      `role ${role} #${position}`,
      `${target} ${model}, tier ${tier}${context === null ? '' : `, context ${context}`}`,
    );
  }
  for (const { scope, window, limit_micro_usd: limit } of rows.ceilings) {
    lines.set(`ceiling ${scope}/${window}`, `$${formatUsd(limit)}`);
  }
  for (const { event, notifier } of rows.notices) lines.set(`notice ${event} to ${notifier}`, 'told');
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
