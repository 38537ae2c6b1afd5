/**
 * What is open under which grant, so that removing a grant closes it at once.
 *
 * Whoever opens something registers it first and checks the grant again after: a removal in
 * between is then seen by one of the two.
 */
/** Cuts one thing off that is open under a grant; also how it is told from the others. */
export type Cut = () => void;

export class OpenWork {
  readonly #byGrant = new Map<string, Set<Cut>>();

  /** Registers how to cut one thing off; the returned function takes it back. */
  register(grant: string, cut: Cut): () => void {
    const open = this.#byGrant.get(grant) ?? new Set();
    this.#byGrant.set(grant, open);
    open.add(cut);
    return () => {
      open.delete(cut);
      if (open.size === 0 && this.#byGrant.get(grant) === open) this.#byGrant.delete(grant);
    };
  }

  /** How much is open under a grant. */
  count(grant: string): number {
    return this.#byGrant.get(grant)?.size ?? 0;
  }

  /** Cuts off everything under these grants but `spared`; returns how much that was. */
  cut(grants: readonly string[], spared: Cut | null = null): number {
    const open = grants.flatMap((grant) => [...(this.#byGrant.get(grant) ?? [])]).filter((cut) => cut !== spared);
    for (const cut of open) cut();
    return open.length;
  }

  /** The grants under which something is open. */
  grants(): string[] {
    return [...this.#byGrant.keys()];
  }
}
