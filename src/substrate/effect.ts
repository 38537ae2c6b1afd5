/** An effect outside the database, such as a file: on record before it begins, and again when it has ended. */
import { toSeedError } from '../errors.ts';
import type { ReceiptSubject } from '../formats/receipt.ts';
import type { Json } from '../formats/canonical.ts';
import type { Actor } from './actor.ts';
import type { Substrate } from './substrate.ts';

export interface EffectOptions {
  readonly action: string;
  readonly actor: Actor;
  readonly subject: ReceiptSubject;
  /** Small facts, never a secret. */
  readonly detail: Readonly<Record<string, Json>>;
}

/**
 * Runs `effect` between an intent and its outcome; resolves to the outcome's `seq`. What a crash cuts
 * off in between is settled as `incomplete` at the next start.
 *
 * @throws what `effect` throws, with its receipt left
 */
export async function receiptEffect(
  substrate: Substrate,
  { action, actor, subject, detail }: EffectOptions,
  effect: () => void | Promise<void>,
): Promise<number> {
  const intent = await substrate.operate({ action, actor }, async (op) => {
    op.receipt({ outcome: 'intent', subject, detail });
  });
  const settle = (code: string | null) =>
    substrate.operate({ action, actor }, async (op) => {
      op.receipt({ of: intent.seq, outcome: code === null ? 'ok' : 'failed', code, subject });
    });
  try {
    await effect();
  } catch (thrown) {
    // Where even that cannot be written, the next start settles it; what went wrong first is said.
    await settle(toSeedError(thrown).code).catch(() => {});
    throw thrown;
  }
  return (await settle(null)).seq;
}
