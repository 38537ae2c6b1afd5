/** What an earlier process left open, settled by whoever takes the home next, before anything else is done. */
import { doubtCalls } from './calls.ts';
import { settleLeftovers } from './ledger/leftovers.ts';
import { settleOpenIntents } from './receipts/open-intents.ts';
import type { Substrate } from './substrate.ts';

/** Open intents lead to calls and to held money, so they come last. */
export async function settleEarlierBoot(substrate: Substrate): Promise<void> {
  await doubtCalls(substrate);
  await settleLeftovers(substrate);
  await settleOpenIntents(substrate);
}
