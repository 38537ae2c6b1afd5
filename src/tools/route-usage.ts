import * as z from 'zod';
import type { CeilingUse } from '../substrate/ledger/model.ts';
import { dollars } from '../substrate/ledger/money.ts';
import type { Listed, Share } from '../substrate/ledger/usage.ts';
import { usage } from '../substrate/ledger/usage.ts';
import { noteEditsIfServing } from '../substrate/policy/outside.ts';
import { readCeilings, readTimezone } from '../substrate/policy/policy.ts';
import { isoTime } from '../substrate/sources.ts';
import { COVERED } from './covered.ts';
import { payerOf } from '../substrate/identity/grants.ts';
import { defineTool } from './define.ts';
import { lines } from './text.ts';

const ShareView = z.object({ name: z.string(), spent_micro_usd: z.int(), held_micro_usd: z.int() });
type ShareView = z.infer<typeof ShareView>;

const CeilingView = z.object({
  ceiling: z.string(),
  scope: z.string().describe('Whose money it counts, * replaced; label:KEY= is calls without it'),
  spent_micro_usd: z.int(),
  held_micro_usd: z.int(),
  limit_micro_usd: z.int(),
  resets: z.string().nullable(),
});
type CeilingView = z.infer<typeof CeilingView>;

const Output = z.object({
  covered: z.string(),
  only: z.string().nullable().describe('Whose spending alone this is; null for everybody’s'),
  timezone: z.string(),
  today: z.string(),
  period: z.enum(['day', 'week', 'month', 'life']),
  from: z.string().nullable(),
  to: z.string().nullable(),
  spent_micro_usd: z.int(),
  held_micro_usd: z.int(),
  ceilings: z.array(CeilingView).describe('In their present windows, the most used first'),
  roles: z.array(ShareView),
  models: z.array(ShareView),
  labels: z.array(ShareView),
  agents: z.array(ShareView),
  not_shown: z.int().describe('Entries beyond the limit, of all lists'),
});
type Output = z.infer<typeof Output>;

export const routeUsage = defineTool({
  name: 'route_usage',
  title: 'What was spent on models, and what is left',
  description:
    'Use when you want to know what calls to models have cost, what is held for calls under way and what the owner’s ceilings leave. A helper is told of its own spending alone.',
  scope: 'route.usage',
  surface: 'daily',
  access: 'read',
  input: z.strictObject({
    period: z.enum(['day', 'week', 'month', 'life']).default('month').describe('For the sums by role, model, label'),
    limit: z.int().min(1).max(200).default(15).describe('Entries of each list, the largest first'),
  }),
  output: Output,
  text: sayUsage,
  handler: async ({ period, limit }, { actor, substrate }): Promise<Output> => {
    await noteEditsIfServing(substrate);
    const now = substrate.sources.now();
    const { timezone, only, told } = await substrate.read(async (db) => {
      const zone = await readTimezone(db);
      const ceilings = await readCeilings(db);
      const onlyAgent = actor.kind === 'helper' ? await payerOf(db, actor) : null;
      return {
        timezone: zone,
        only: onlyAgent,
        told: await usage(db, { ceilings, timezone: zone, now, period, onlyAgent, limit }),
      };
    });
    const { day, days, total, ceilings, roles, models, labels, agents } = told;
    return {
      covered: COVERED,
      only,
      timezone,
      today: day,
      period,
      from: days?.from ?? null,
      to: days?.to ?? null,
      spent_micro_usd: total.spentMicroUsd,
      held_micro_usd: total.heldMicroUsd,
      ceilings: ceilings.entries.map(viewCeiling),
      roles: roles.entries.map(viewShare),
      models: models.entries.map(viewShare),
      labels: labels.entries.map(viewShare),
      agents: agents.entries.map(viewShare),
      not_shown: [ceilings, roles, models, labels, agents].map(hidden).reduce((sum, count) => sum + count, 0),
    };
  },
});

function hidden({ entries, total }: Listed<unknown>): number {
  return total - entries.length;
}

function viewCeiling({
  ceiling,
  scope,
  spentMicroUsd,
  heldMicroUsd,
  limitMicroUsd,
  resetsAt,
}: CeilingUse): CeilingView {
  return {
    ceiling,
    scope,
    spent_micro_usd: spentMicroUsd,
    held_micro_usd: heldMicroUsd,
    limit_micro_usd: limitMicroUsd,
    resets: resetsAt === null ? null : isoTime(resetsAt),
  };
}

function viewShare({ name, spentMicroUsd, heldMicroUsd }: Share): ShareView {
  return { name, spent_micro_usd: spentMicroUsd, held_micro_usd: heldMicroUsd };
}

function sayUsage(told: Output): string {
  const { only, period, from, to, spent_micro_usd: spent, held_micro_usd: held, ceilings, not_shown: more } = told;
  const whose = only === null ? '' : `${only}, `;
  const days = from === null ? 'in all' : from === to ? `on ${from}` : `${from} to ${to}`;
  return lines(
    `${whose}${period} (${days}, ${told.timezone}): ${dollars(spent)} spent${underWay(held)}.`,
    ceilings.length === 0 ? `No ceiling ${only === null ? 'is set' : 'names you'}.` : 'Ceilings:',
    ...ceilings.map(ceilingLine),
    ...shareLines('By role:', told.roles),
    ...shareLines('By model:', told.models),
    ...shareLines('By label:', told.labels),
    ...shareLines('By agent:', told.agents),
    more === 0 ? '' : `${more} more with a higher limit.`,
    told.covered,
  );
}

function underWay(held: number): string {
  return held === 0 ? '' : `, ${dollars(held)} held for calls under way`;
}

function ceilingLine(one: CeilingView): string {
  const { ceiling, scope, spent_micro_usd: spent, held_micro_usd: held, limit_micro_usd: limit, resets } = one;
  const value = ceiling.startsWith(`${scope}/`) ? '' : ` (${scope})`;
  const left = Math.max(0, limit - spent - held);
  const turns = resets === null ? '' : `; turns over ${resets}`;
  return `- ${ceiling}${value}: ${dollars(spent)} of ${dollars(limit)} spent${underWay(held)}, ${dollars(left)} left${turns}`;
}

function shareLines(heading: string, shares: readonly ShareView[]): string[] {
  if (shares.length === 0) return [];
  return [
    heading,
    ...shares.map(
      ({ name, spent_micro_usd: spent, held_micro_usd: held }) => `- ${name}: ${dollars(spent)}${underWay(held)}`,
    ),
  ];
}
