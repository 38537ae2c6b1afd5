/** Small parts of the texts that tools answer with. */

/** `1 key`, `2 keys`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** With a full stop where it does not end in one, or in something as good. */
export function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** Lines, without those that have nothing to say. */
export function lines(...parts: readonly string[]): string {
  return parts.filter((line) => line !== '').join('\n');
}

/** The line of a list that goes on. */
export function more(cursor: number | string | null): string {
  return cursor === null ? '' : `More with cursor ${cursor}.`;
}
