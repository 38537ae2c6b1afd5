import type { Command } from 'commander';
import { ask } from '../ask.ts';
import { EXIT, printJson, printLine, spoken } from '../output.ts';
import { SHORT_WAIT_MS } from '../owner-client.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface Status {
  readonly serving: boolean;
  readonly pid: number | null;
  readonly version: string;
  readonly home: string;
  readonly seed: string;
  readonly started: string | null;
  readonly url: string | null;
  readonly problem: string | null;
  readonly agents: readonly string[];
  readonly halted: boolean;
  readonly mind: string;
  readonly store: string;
  readonly receipts: number;
  readonly newest_receipt: string | null;
}

export function addStatus(program: Command): void {
  const command = program.command('status').description('whether a daemon serves, and how the log stands');
  common(command, {
    examples: ['seed status', 'seed status --json', 'seed status > /dev/null || echo "no daemon"'],
    exits: {
      ok: 'a daemon serves this home',
      failed: 'there is no home, or it is damaged',
      absent: 'no daemon serves',
    },
  }).action(status);
}

async function status(options: CommonOptions): Promise<void> {
  const facts = await ask<Status>(configOf(options), {
    tool: 'seed_status',
    access: 'read',
    waitMs: SHORT_WAIT_MS,
  });
  process.exitCode = facts.serving ? EXIT.ok : EXIT.absent;
  if (options.json === true) {
    printJson(facts);
    return;
  }
  printLine(
    facts.serving
      ? `Serving with pid ${facts.pid} since ${facts.started}.`
      : spoken('No daemon serves this home; start one with `seed up`.'),
  );
  if (facts.halted) printLine(spoken('Halted: agents and helpers are refused until `seed resume`.'));
  printLine(`  home      ${facts.home}`);
  printLine(`  seed      ${facts.seed}`);
  printLine(`  version   ${facts.version}, store ${facts.store}`);
  if (facts.serving) printLine(`  mcp       ${facts.url ?? facts.problem ?? 'shut'}`);
  if (facts.serving) printLine(`  mind      ${spoken(sayMind(facts))}`);
  if (facts.agents.length > 0) printLine(`  agents    ${facts.agents.join(', ')}`);
  printLine(
    `  receipts  ${facts.receipts}${facts.newest_receipt === null ? '' : `, the newest of ${facts.newest_receipt}`}`,
  );
}

const MIND: Readonly<Record<string, string>> = {
  off: 'does not turn',
  silent: 'stands still; it is about to be started again',
  paused: 'paused; `seed mind resume` ends that',
};

function sayMind({ mind }: Status): string {
  return MIND[mind] ?? mind;
}
