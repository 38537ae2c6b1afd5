/** The policy as its owner reads it: the file that its rows amount to. */
import { stringify } from 'yaml';
import { formatUsd } from './money.ts';
import type { CeilingRow, NoticeRow, PolicyRows, PriceRow, RoutingRow, TargetRow } from './rows.ts';

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
    ...(rows.notices.length === 0 ? {} : { notices: rows.notices.map(noticeOf) }),
  };
  return stringify(whole, { lineWidth: 0, defaultStringType: 'PLAIN', aliasDuplicateObjects: false });
}

function targetOf({ provider, base_url, credential }: TargetRow): object {
  return { provider, base_url, ...(credential === null ? {} : { credential }) };
}

function roleOf(rows: readonly RoutingRow[]): object {
  const [head] = rows;
  const candidates = rows.map(({ target, model, tier, context_tokens }) => ({
    target,
    model,
    tier,
    ...(context_tokens === null ? {} : { context_tokens }),
  }));
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

function noticeOf({ event, notifier }: NoticeRow): object {
  return { when: event, to: notifier };
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
