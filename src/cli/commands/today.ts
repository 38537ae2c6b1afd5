import type { Command } from 'commander';
import { dollars } from '../../substrate/ledger/money.ts';
import { ask } from '../ask.ts';
import { counted, printable, printJson, printLine } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface Line {
  readonly receipt: number;
  readonly time: string;
  readonly who: string;
  readonly says: string;
}

interface Today {
  readonly day: string;
  readonly timezone: string;
  readonly receipts: { readonly count: number; readonly first: number | null; readonly last: number | null };
  readonly counted_from: number | null;
  readonly people: readonly {
    readonly name: string;
    readonly says: readonly string[];
    readonly refused: number;
    readonly failed: number;
    readonly did: readonly { readonly first: number; readonly last: number }[];
  }[];
  readonly money: {
    readonly spent_micro_usd: number;
    readonly held_micro_usd: number;
    readonly agents: readonly { readonly name: string; readonly spent_micro_usd: number }[];
    readonly ceilings: readonly {
      readonly ceiling: string;
      readonly spent_micro_usd: number;
      readonly limit_micro_usd: number;
    }[];
  } | null;
  readonly handoffs: readonly Line[];
  readonly refusals: readonly Line[];
  readonly refused: number;
  readonly tasks: {
    readonly open: number;
    readonly claimed: number;
    readonly finished: number;
    readonly overdue: number;
  };
}

/** What fits on one screen. */
const PEOPLE_MAX = 12;
const THINGS_MAX = 5;
const LINES_MAX = 5;

export function addToday(program: Command): void {
  const today = program.command('today').description('the day on one screen: who did what, money, handoffs, refusals');
  common(today, { examples: ['seed today', 'seed today --json'] }).action(async (options: CommonOptions) => {
    const told = await ask<Today>(configOf(options), { tool: 'seed_today', access: 'read' });
    if (options.json === true) printJson(told);
    else for (const line of screen(told)) printLine(printable(line));
  });
}

function screen(told: Today): string[] {
  const { day, timezone, receipts, counted_from: from, refused } = told;
  const which = receipts.first === null ? 'no receipts yet' : range(receipts.first, receipts.last ?? receipts.first);
  return [
    `${day} (${timezone}): ${which}.`,
    ...(from === null ? [] : [`Counted from receipt ${from} on; there are more.`]),
    '',
    ...(told.people.length === 0 ? ['Nobody did anything.'] : peopleLines(told)),
    '',
    ...moneyLines(told),
    taskLine(told),
    ...section('Handoffs', told.handoffs, told.handoffs.length),
    ...section('Refused', told.refusals, refused),
  ];
}

function peopleLines({ people }: Today): string[] {
  const shown = people.slice(0, PEOPLE_MAX).map(({ name, says, refused, failed, did }) => {
    const things = says.slice(0, THINGS_MAX);
    const rest = says.length - things.length;
    const all = [
      ...things,
      ...(rest === 0 ? [] : [`${counted(rest, 'other kind')} of act`]),
      ...(refused === 0 ? [] : [`was refused ${times(refused)}`]),
      ...(failed === 0 ? [] : [`failed ${times(failed)}`]),
    ];
    const [first, last] = [Math.min(...did.map((one) => one.first)), Math.max(...did.map((one) => one.last))];
    return `${name}: ${all.length === 0 ? 'began something' : all.join(', ')} (${range(first, last)})`;
  });
  const more = people.length - shown.length;
  return more === 0 ? shown : [...shown, `and ${more} more`];
}

function range(first: number, last: number): string {
  return first === last ? `receipt ${first}` : `receipts ${first} to ${last}`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function moneyLines({ money }: Today): string[] {
  if (money === null) return ['Money: the policy cannot be read; see `seed policy check`.'];
  const { spent_micro_usd: spent, held_micro_usd: held, agents, ceilings } = money;
  const by = agents.map(({ name, spent_micro_usd: own }) => `${name} ${dollars(own)}`).join(', ');
  const underWay = held === 0 ? '' : `, ${dollars(held)} held for calls under way`;
  return [
    `Money: ${dollars(spent)} spent${underWay}${by === '' ? '' : ` (${by})`}.`,
    ...ceilings.map(
      ({ ceiling, spent_micro_usd: used, limit_micro_usd: limit }) =>
        `  ceiling ${ceiling}: ${dollars(used)} of ${dollars(limit)}`,
    ),
  ];
}

function taskLine({ tasks: { open, claimed, finished, overdue } }: Today): string {
  const late = overdue === 0 ? '' : `, ${overdue} overdue`;
  return `Tasks: ${open} open, ${claimed} claimed, ${finished} to verify${late}.`;
}

function section(heading: string, lines: readonly Line[], total: number): string[] {
  if (total === 0) return [`${heading}: none.`];
  const shown = lines.slice(0, LINES_MAX);
  return [
    `${heading}: ${total}`,
    ...shown.map(({ receipt, time, who, says }) => `  ${time.slice(11, 19)}  ${who} ${says}  (receipt ${receipt})`),
    ...(total > shown.length ? [`  and ${total - shown.length} more`] : []),
  ];
}
