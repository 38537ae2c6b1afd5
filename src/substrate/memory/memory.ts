/**
 * Memory: what agents, helpers and the owner write down to find it again, in spaces of who may see it.
 *
 * Writing, forgetting, restoring and erasing are operations with receipts; the text stands in its row
 * alone, and a receipt has a salted hash of it. Who may see what is decided in `spaces.ts`, where also
 * the one function is that reads; how it is found again, in `search.ts`.
 */
import type { Actor } from '../actor.ts';
import { fastSha256HexOfText } from '../receipts/sha256.ts';
import type { Substrate } from '../substrate.ts';
import type { Receipted } from '../operation.ts';
import { eraseDue } from './forget.ts';
import { memoryId } from './model.ts';
import type { Draft, Written } from './write.ts';
import { findWritten, keep } from './write.ts';

export { eraseNow, forget, restore } from './forget.ts';
export type { Draft, Written } from './write.ts';

/**
 * Remembers one thing; durable when this resolves. A repeat under the same key changes nothing and leaves
 * no receipt.
 *
 * @throws SeedError as `keep`
 */
export async function remember(substrate: Substrate, actor: Actor, draft: Draft): Promise<Written> {
  if (draft.key !== undefined) {
    const before = await substrate.read((db) => findWritten(db, actor, draft));
    if (before !== null) return before;
  }
  const { value } = await substrate.operate({ action: 'memory.write', actor }, async (op) => {
    const written = await keep(op, actor, draft, substrate.sources);
    const id = memoryId(written.nr);
    // Written twice at the same moment: one of the two was first.
    const repeats = written.repeated ? { repeats: written.receipt } : {};
    const superseded = draft.supersedes === undefined ? {} : { supersedes: memoryId(draft.supersedes) };
    op.receipt({ subject: { type: 'memory', id }, input: written.hash, detail: { ...superseded, ...repeats } });
    return written;
  });
  return value;
}

/**
 * Remembers many things from elsewhere under one receipt: all of them, or none.
 *
 * The receipt's `input` is the hash of their salted hashes, in order, so it tells as little of them.
 */
export async function rememberAll(
  substrate: Substrate,
  actor: Actor,
  drafts: readonly Draft[],
): Promise<Receipted<readonly Written[]>> {
  return substrate.operate({ action: 'memory.import', actor }, async (op) => {
    const all: (Written & { readonly hash: string })[] = [];
    for (const draft of drafts) all.push(await keep(op, actor, draft, substrate.sources));
    const fresh = all.filter(({ repeated }) => !repeated);
    const [first, last] = [fresh[0], fresh.at(-1)];
    op.receipt({
      input: fastSha256HexOfText(all.map(({ hash }) => hash).join('')),
      detail: {
        memories: fresh.length,
        repeated: all.length - fresh.length,
        ...(first === undefined || last === undefined ? {} : { first: memoryId(first.nr), last: memoryId(last.nr) }),
      },
    });
    return all;
  });
}

/** What is due now and then: what was forgotten long enough ago is erased. */
export async function sweep(substrate: Substrate): Promise<void> {
  await eraseDue(substrate);
}
