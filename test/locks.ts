/** The invariants of the seed, as data. A test cites the ones it proves in its title, in brackets. */
export interface Lock {
  readonly id: string;
  /** What always holds. */
  readonly statement: string;
  /** The version since which it holds; null while it is planned. */
  readonly since: string | null;
}

export const LOCKS: readonly Lock[] = [
  {
    id: 'LOCK-RUNTIME-1',
    statement:
      "Policy lives in the seed's own database. No target, model, tier, price or ceiling is a constant in the code.",
    since: '0.1.0',
  },
  {
    id: 'LOCK-RUNTIME-2',
    statement:
      'An unknown role or target, or a policy that does not parse, resolves to null: the call is refused and no socket is opened. There is no default fallback.',
    since: '0.1.0',
  },
  {
    id: 'LOCK-RUNTIME-3',
    statement:
      'No reservation is admitted unless spent + held + bound ≤ limit for every ceiling that applies, under concurrency and `kill -9`. A refusal is a 429 with one audit receipt and no model call. A report above the bound is booked truthfully, receipted `bound_exceeded`, and benches the model. A hold and its settlement belong to the window of admission; settling happens once.',
    since: '0.1.0',
  },
  {
    id: 'LOCK-RUNTIME-4',
    statement:
      "Every decision that touches a ceiling and every model call, each failed attempt included, has a receipt with input and output hash, target, model asked for, model that answered, policy and price version. No byte leaves before the attempt's intent is durable; no result is called final before its outcome is. Partial text is provisional; a cut leaves an `incomplete` outcome with the hash of what was given out.",
    since: '0.1.0',
  },
  {
    id: 'LOCK-RUNTIME-5',
    statement:
      "Tier 1 is dispatched by the drain alone, on schedule or by the owner. Which models are tier 1 is read from policy. On demand means `seed route drain` on the owner's socket. Dispatch is an unforgeable in-process value, not a string that a caller can send.",
    since: '0.1.0',
  },
  {
    id: 'LOCK-RECEIPT-1',
    statement:
      "Receipts are append-only and gapless. A verifier with the root of trust finds any edit, deletion, insertion, reordering or duplicate made by anyone without the log key; against the log key's holder, anyone with a newer checkpoint finds a cut tail or a fork.",
    since: '0.1.0',
  },
  {
    id: 'LOCK-RECEIPT-2',
    statement: 'An effect of the daemon and its receipt commit together or not at all.',
    since: '0.1.0',
  },
  {
    id: 'LOCK-HANDOFF-1',
    statement:
      'A session has one owner at a time (fencing epoch). A token is redeemed once; the same redeemer repeating the same redeem gets the same package and epoch (marked `superseded` if it moved on).',
    since: '0.1.0',
  },
  {
    id: 'LOCK-HANDOFF-2',
    statement:
      "Nothing is lost in a handoff: the transcript's running hash over its message hashes is equal before and after; what a target cannot carry is listed in `losses`.",
    since: '0.1.0',
  },
  {
    id: 'LOCK-HANDOFF-3',
    statement:
      "Budget and scope only ever narrow: budget moves and is never copied, scope is the intersection with the receiver's own grants at the moment of redeeming.",
    since: '0.1.0',
  },
  {
    id: 'LOCK-MEMBRANE-1',
    statement:
      "Inbound only: the seed holds public keys and hashes of whom it lets in; its only outbound credentials are those of policy's model targets, each bound to one origin.",
    since: '0.1.0',
  },
  {
    id: 'LOCK-MEMBRANE-2',
    statement:
      'Deleting a key cuts it off at once, with every key issued under it: the next request is refused, open streams are closed, its running work is cancelled and settled.',
    since: '0.1.0',
  },
  {
    id: 'LOCK-MEMBRANE-3',
    statement:
      'Through any door, no actor can mint, widen or lengthen a key beyond its own, and none can approve its own request.',
    since: '0.1.0',
  },
  {
    id: 'LOCK-MIND-1',
    statement:
      'With nothing to do the mind makes no model call. A wake is a hint: durable state is read again before any action.',
    since: '0.1.0',
  },
  {
    id: 'LOCK-MIND-2',
    statement:
      'Coherence observes before it governs. A promotion is earned by measured precision, is signed, and can be undone; governing can only brake.',
    since: '0.1.0',
  },
  {
    id: 'LOCK-KEY-1',
    statement:
      'After the handover of the root, the old root can do nothing; the seed works on with the old holder gone.',
    since: null,
  },
];
