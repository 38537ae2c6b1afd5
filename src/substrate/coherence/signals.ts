/** Tells those in this process who listen that coherence found something to have changed, after the commit. */
export class CoherenceSignals {
  readonly #onChange = new Set<() => void>();

  /** Calls `listener` for each change; it carries nothing, whoever is told reads again. The returned function takes it back. */
  onChange(listener: () => void): () => void {
    this.#onChange.add(listener);
    return () => this.#onChange.delete(listener);
  }

  changed(): void {
    for (const listener of this.#onChange) listener();
  }
}
