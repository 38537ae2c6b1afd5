/** A command line as a POSIX shell reads it. */
export function shellLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w./:@%=+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}
