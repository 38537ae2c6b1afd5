import type { Command } from 'commander';
import { dollars } from '../../substrate/ledger/money.ts';
import type { Crash, Money, Proof, Rush } from '../demo/ceiling.ts';
import type { SimulatedProvider } from '../demo/provider.ts';
import type { Stage } from '../demo/stage.ts';
import { addDemoHandoff } from './demo-handoff.ts';
import type { Say } from './demo-stage.ts';
import { onStage } from './demo-stage.ts';
import type { CommonOptions } from './shared.ts';
import { common } from './shared.ts';

/** Refusals that are shown one by one. */
const SHOWN = 3;

export function addDemo(program: Command): void {
  const demo = program.command('demo').description('what a seed does, shown on one that is made for it and removed');
  const ceiling = demo
    .command('ceiling')
    .description('more calls at once than a ceiling pays for, and a daemon killed in the middle of one');
  common(ceiling, {
    examples: ['seed demo ceiling', 'seed demo ceiling --json'],
    exits: { ok: 'shown; the ceiling held', failed: 'could not be shown, or something was not as promised' },
  })
    .addHelpText(
      'after',
      '\nNeeds no key and no model: the provider is simulated. --home names where the demonstration’s seed is made, a folder that is not there yet; it is removed in any case.',
    )
    .action(showCeiling);
  addDemoHandoff(demo);
}

async function showCeiling(options: CommonOptions): Promise<void> {
  const { startSimulatedProvider } = await import('../demo/provider.ts');
  await onStage(options, async ({ stage, say, endings }) => {
    const provider = await startSimulatedProvider();
    endings.push({ now: () => {}, orderly: provider.close });
    return play(stage, provider, say);
  });
}

async function play(
  stage: Stage,
  provider: SimulatedProvider,
  say: Say,
): Promise<{ told: { rush: Rush; crash: Crash; proof: Proof }; kept: boolean }> {
  const acts = await import('../demo/ceiling.ts');
  const { CALLS, BOUND_MICRO_USD: bound, CEILING_MICRO_USD: ceiling, RAISED_MICRO_USD: raised } = acts;
  say(
    'A ceiling, shown on a seed that is made for this and removed afterwards.',
    'The provider is simulated: there is no model and no key, and nothing leaves this machine.',
    '',
    `1. A ceiling of ${dollars(ceiling)} a day, and ${CALLS} calls at once that may cost ${dollars(bound)} each`,
  );
  await stage.start();
  const rush = await acts.rush(stage, provider);
  say(...rushLines(rush, ceiling));
  say(
    '',
    `2. You raise the ceiling to ${dollars(raised)}; in the middle of one more call the seed is killed (kill -9)`,
  );
  const crash = await acts.crash(stage, provider);
  say(...crashLines(crash, raised));
  say('', '3. What is on record');
  const proof = await acts.prove(stage);
  say(`   ${proof.receipts} receipts, exported and checked against the root of trust: ${proof.verdict}`);
  const told = { rush, crash, proof };
  return { told, kept: acts.isAsPromised(told) };
}

function ledger({ spent_micro_usd: spent, held_micro_usd: held }: Money, limitMicroUsd: number): string {
  return `${dollars(spent)} spent, ${dollars(held)} held, of ${dollars(limitMicroUsd)}`;
}

function rushLines({ admitted, refused, requests, under_way, settled, refusals }: Rush, limit: number): string[] {
  const shown = refusals
    .slice(0, SHOWN)
    .map((one) => `     receipt ${one.receipt}  ${one.code}  ${one.ceiling}: ${ledger(one, one.limit_micro_usd)}`);
  return [
    `   admitted   ${admitted}`,
    `   refused    ${refused}, before anything was sent`,
    `   provider   has seen ${requests} requests`,
    `   ledger     ${ledger(under_way, limit)}, while it thinks`,
    `              ${ledger(settled, limit)}, when it has answered`,
    `   receipts   one for each refusal (${refusals.length}), with the figures of that moment:`,
    ...shown,
    ...(refusals.length > SHOWN ? [`     … and ${refusals.length - SHOWN} more`] : []),
  ];
}

function crashLines({ before, after, receipt, of, outcome, code }: Crash, limit: number): string[] {
  return [
    `   before     ${ledger(before, limit)}`,
    `   after      ${ledger(after, limit)}, at the next start: nothing stays held`,
    `   receipt    ${receipt ?? '?'}  ${outcome ?? '?'} (${code ?? '?'}) of ${of ?? '?'}: what nobody knows the cost of is booked in full`,
  ];
}
