/** Runs asynchronous functions one after the other. */
export class Turnstile {
  #last: Promise<unknown> = Promise.resolve();

  pass<T>(fn: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(fn);
    this.#last = turn.then(
      () => {},
      () => {},
    );
    return turn;
  }
}
