/**
 * What is made when it is first wanted. The MCP SDK is most of what the daemon loads, in time and in memory;
 * it is loaded when the first client comes, and a seed without clients stays small.
 */
export interface Lazy<T> {
  /** The value, made on the first call. */
  readonly get: () => Promise<T>;
  /** The value if it was made, else null. */
  readonly peek: () => T | null;
  /** What the first call began, whatever becomes of it; null where nobody called. */
  readonly begun: () => Promise<T> | null;
}

export function lazily<T>(make: () => Promise<T>): Lazy<T> {
  let made: T | null = null;
  let making: Promise<T> | null = null;
  return {
    peek: () => made,
    begun: () => making,
    get: () => {
      making ??= make().then((value) => {
        made = value;
        return value;
      });
      return making;
    },
  };
}
