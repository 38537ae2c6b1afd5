/** Lines out of a stream of bytes, none longer than a limit. */

/** The longest message in either direction. */
export const LINE_BYTES_MAX: number = 10 * 1024 * 1024;
/** How much of each end of a line that is too long is kept, to find the request's id in. */
const END_BYTES = 256;
const NEWLINE = 0x0a;

export interface LineHandlers {
  /** A line without its newline; empty ones are left out. */
  readonly onLine: (line: Buffer) => void;
  /** A line that went past the limit and was thrown away, but for its ends. */
  readonly onTooLong: (head: string, tail: string) => void;
}

/** Returns what takes the stream's chunks. */
export function splitLines(bytesMax: number, { onLine, onTooLong }: LineHandlers): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let bytes = 0;
  let head: Buffer | null = null;

  const add = (part: Buffer): void => {
    parts.push(part);
    bytes += part.length;
    if (bytes <= bytesMax) return;
    const whole = Buffer.concat(parts);
    head ??= Buffer.from(whole.subarray(0, END_BYTES));
    // What comes after only matters as the line's last bytes.
    const tail = Buffer.from(whole.subarray(-END_BYTES));
    parts = [tail];
    bytes = tail.length;
  };

  const finish = (): void => {
    const line = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    const tooLong = head;
    parts = [];
    bytes = 0;
    head = null;
    if (tooLong !== null) onTooLong(tooLong.toString('utf8'), line.subarray(-END_BYTES).toString('utf8'));
    else if (line.length > 0) onLine(line);
  };

  return (chunk) => {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, at));
      finish();
      from = at + 1;
    }
    if (from < chunk.length) add(chunk.subarray(from));
  };
}
