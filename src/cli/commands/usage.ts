import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { dollars } from '../../substrate/ledger/money.ts';
import { ask } from '../ask.ts';
import { printable, printJson, printLine, table } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

const PERIODS = ['day', 'week', 'month', 'life'] as const;
const LIMIT_MAX = 200;

interface UsageOptions extends CommonOptions {
  readonly period: (typeof PERIODS)[number];
  readonly limit: number;
}

interface Sum {
  readonly spent_micro_usd: number;
  readonly held_micro_usd: number;
}

interface Usage extends Sum {
  readonly covered: string;
  readonly timezone: string;
  readonly period: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly ceilings: readonly (Sum & {
    readonly ceiling: string;
    readonly scope: string;
    readonly limit_micro_usd: number;
    readonly resets: string | null;
  })[];
  readonly roles: readonly Share[];
  readonly models: readonly Share[];
  readonly labels: readonly Share[];
  readonly agents: readonly Share[];
  readonly not_shown: number;
}

interface Share extends Sum {
  readonly name: string;
}

export function addUsage(program: Command): void {
  const command = program
    .command('usage')
    .description('what calls to models have cost, and what the ceilings leave')
    .addOption(new Option('--period <period>', 'sum up by role, model, label over').choices(PERIODS).default('month'))
    .option('--limit <n>', `entries of each list (1 to ${LIMIT_MAX})`, parseLimit, 15);
  common(command, { examples: ['seed usage', 'seed usage --period day', 'seed usage --json'] }).action(showUsage);
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d{1,3}$/.test(text) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new InvalidArgumentError(`Give a whole number from 1 to ${LIMIT_MAX}.`);
}

async function showUsage(options: UsageOptions): Promise<void> {
  const { period, limit } = options;
  const usage = await ask<Usage>(configOf(options), { tool: 'route_usage', input: { period, limit }, access: 'read' });
  if (options.json === true) printJson(usage);
  else printLine(screen(usage));
}

function screen(usage: Usage): string {
  const { from, to, timezone, ceilings, not_shown: more } = usage;
  const days = from === null ? 'All time' : from === to ? `On ${from}` : `From ${from} to ${to}`;
  const held = usage.held_micro_usd === 0 ? '' : `, ${dollars(usage.held_micro_usd)} held for calls under way`;
  return [
    `${days} (${timezone}): ${dollars(usage.spent_micro_usd)} spent${held}.`,
    ceilings.length === 0 ? 'No ceiling is set.' : ceilingTable(usage),
    ...shareTable('ROLE', usage.roles),
    ...shareTable('MODEL', usage.models),
    ...shareTable('LABEL', usage.labels),
    ...shareTable('AGENT', usage.agents),
    ...(more === 0 ? [] : [`${more} more with a higher --limit.`]),
    usage.covered,
  ].join('\n\n');
}

function ceilingTable({ ceilings }: Usage): string {
  const rows = ceilings.map(
    ({ ceiling, scope, spent_micro_usd: spent, held_micro_usd: held, limit_micro_usd: limit, resets }) => [
      printable(ceiling),
      // Whose, where a `*` stands for many; a label without a value is the calls that have none.
      ceiling.startsWith(`${scope}/`)
        ? ''
        : scope.endsWith('=')
          ? '(without it)'
          : printable(scope.replace(/^[^:]*:/, '')),
      dollars(spent),
      dollars(held),
      dollars(limit),
      dollars(Math.max(0, limit - spent - held)),
      resets ?? 'never',
    ],
  );
  return table(['CEILING', 'OF', 'SPENT', 'HELD', 'LIMIT', 'LEFT', 'TURNS OVER'], rows);
}

function shareTable(heading: string, shares: readonly Share[]): string[] {
  if (shares.length === 0) return [];
  const rows = shares.map(({ name, spent_micro_usd: spent, held_micro_usd: held }) => [
    printable(name),
    dollars(spent),
    dollars(held),
  ]);
  return [table([heading, 'SPENT', 'HELD'], rows)];
}
