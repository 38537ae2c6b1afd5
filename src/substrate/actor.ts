/** Who acts. The doors find out; the substrate writes it into the receipt. */
import type { ReceiptActor } from '../formats/receipt.ts';

/** `kind`: human, agent, service, helper, or substrate (the seed itself). */
export interface Actor extends ReceiptActor {
  /** The scopes this actor holds; a scope is matched whole. */
  readonly scopes: ReadonlySet<string>;
}

/** Every scope, without listing them: the owner's and the seed's own. */
class AllScopes extends Set<string> {
  override has(): boolean {
    return true;
  }
}

/** The human who owns the box, at the owner's own door. */
export const OWNER: Actor = { id: 'owner', kind: 'human', grant: null, scopes: new AllScopes() };

/** The seed acting for itself: start, stop, retention. */
export const SEED: Actor = { id: 'seed', kind: 'substrate', grant: null, scopes: new AllScopes() };
