/**
 * Tells those in this process who listen that a session changed, after the commit.
 *
 * A change is a hint and carries no content: whoever is told reads the durable state again.
 */

/** A session changed; `grants` may read it and want to know. */
export interface SessionChange {
  readonly session: string;
  readonly grants: readonly string[];
}

/** A step in a session's handing over, for the owner to be told of. */
export interface HandoffNews {
  readonly what: 'offered' | 'redeemed' | 'withdrawn';
  readonly handoff: string;
  readonly session: string;
  readonly from: string;
  readonly to: string;
  readonly epoch: number;
  readonly receipt: number;
}

export class SessionSignals {
  readonly #onChange = new Set<(change: SessionChange) => void>();
  readonly #onHandoff = new Set<(news: HandoffNews) => void>();

  /** Calls `listener` for each change; the returned function takes it back. */
  onChange(listener: (change: SessionChange) => void): () => void {
    this.#onChange.add(listener);
    return () => this.#onChange.delete(listener);
  }

  /** Calls `listener` for each handoff; the returned function takes it back. */
  onHandoff(listener: (news: HandoffNews) => void): () => void {
    this.#onHandoff.add(listener);
    return () => this.#onHandoff.delete(listener);
  }

  changed(session: string, grants: readonly (string | null)[]): void {
    const some = [...new Set(grants)].filter((grant) => grant !== null);
    for (const listener of this.#onChange) listener({ session, grants: some });
  }

  handedOver(news: HandoffNews): void {
    for (const listener of this.#onHandoff) listener(news);
  }
}
