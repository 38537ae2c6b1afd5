/** Intents that a process left open: it said what it would do, and was killed before it said how it went. */
import type { Receipt } from '../../formats/receipt.ts';
import { parseReceipt } from '../../formats/receipt.ts';
import { SEED } from '../actor.ts';
import type { Row, Substrate } from '../substrate.ts';
import { OPEN_INTENTS } from './log.ts';

interface OpenRow extends Row {
  readonly bytes: string;
}

/** Looked up at once. */
const PAGE_ROWS = 1_000;

const OPEN = `SELECT bytes FROM ${OPEN_INTENTS} ORDER BY seq LIMIT ?`;

/**
 * Settles every intent that is open, as `incomplete`; resolves to how many there were. To be called before
 * anything of this boot has begun: what is open then was left so by one before it.
 */
export async function settleOpenIntents(substrate: Substrate): Promise<number> {
  let settled = 0;
  for (;;) {
    const rows = await substrate.read((db) => db.all<OpenRow>(OPEN, PAGE_ROWS));
    if (rows.length === 0) return settled;
    await Promise.all(rows.map(({ bytes }) => settle(substrate, parseReceipt(bytes))));
    settled += rows.length;
  }
}

async function settle(substrate: Substrate, { seq, action, subject }: Receipt): Promise<void> {
  await substrate.operate({ action, actor: SEED }, async (op) => {
    op.receipt({ of: seq, outcome: 'incomplete', code: 'interrupted', subject });
  });
}
