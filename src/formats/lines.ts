/** Splits a stream of chunks into lines that end in a newline. */

export interface LineSplitter {
  /** Hands every line completed by this chunk to the receiver, without its newline. */
  write(chunk: Uint8Array): void;
  /** Whether bytes came after the last newline. */
  hasRest(): boolean;
}

const NEWLINE = 10;

/**
 * @param onLine Gets a view of the chunk: use it at once or copy it. A line that grows past
 * `bytesMax` is handed over cut there, once, so that a file without newlines needs no memory.
 */
export function splitLines(bytesMax: number, onLine: (line: Uint8Array) => void): LineSplitter {
  const rest = new Uint8Array(bytesMax + 1);
  let restLength = 0;
  let overflowed = false;

  function keep(part: Uint8Array): void {
    const fitting = part.subarray(0, rest.length - restLength);
    rest.set(fitting, restLength);
    restLength += fitting.length;
    if (restLength < rest.length || overflowed) return;
    overflowed = true;
    onLine(rest);
  }

  function complete(part: Uint8Array): void {
    if (restLength === 0) {
      onLine(part);
      return;
    }
    keep(part);
    if (!overflowed) onLine(rest.subarray(0, restLength));
    restLength = 0;
    overflowed = false;
  }

  return {
    write(chunk) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        complete(chunk.subarray(start, end));
        start = end + 1;
      }
      if (start < chunk.length) keep(chunk.subarray(start));
    },
    hasRest: () => restLength > 0,
  };
}
