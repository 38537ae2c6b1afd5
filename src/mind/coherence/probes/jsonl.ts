/**
 * A log with one JSON object a line: the time in one of its members (`--field time`, `--field meta.time`).
 *
 * What was appended since the last look is read, and of more than 2 MiB the end alone. A log that was begun anew
 * (rotated, cut off) is read from its beginning.
 */
import { open } from 'node:fs/promises';
import * as z from 'zod';
import type { ProbeLook, ReadPlace, Sighting } from './probe.ts';
import { asPlaceError, probeFailed, statFile, TIMES_MAX } from './probe.ts';
import { readTime } from './time.ts';

export const READ_BYTES_MAX = 2 * 1_048_576;
/** What is looked at of a line that is being written. */
const REST_BYTES_MAX = 256;

/** `id`: which file it was. `offset`: after the last whole line that was read. */
const Cursor = z.object({ id: z.string(), offset: z.int().min(0) });

export const readJsonl: ReadPlace = async (look): Promise<Sighting> => {
  const { place, cursor, spec } = look;
  const { size, id } = await statFile(place);
  const known = readCursor(cursor);
  const isSame = known?.id === id && known.offset <= size;
  const from = Math.max(isSame ? known.offset : 0, size - READ_BYTES_MAX);
  const { lines, rest, end } = await readLines(look, { from, to: size, cut: from > (isSame ? known.offset : 0) });
  const times = lines.map((line) => timeOf(line, (spec.field ?? 'time').split('.'))).filter((time) => time !== null);
  if (known === null && times.length === 0 && (isNoLog(lines, rest) || (await hasNoSize(place, size)))) {
    throw probeFailed('no_times', `No line of ${place} has a time in "${spec.field ?? 'time'}".`, {
      hint: 'It takes a log with one JSON object a line; name the member with --field, such as --field meta.time.',
    });
  }
  return { times: newest(times), cursor: JSON.stringify({ id, offset: end }) };
};

/** Whether lines are there, and none with a time; one that is being written is an object, and may get its time yet. */
function isNoLog(lines: readonly string[], rest: string): boolean {
  return lines.some((line) => line.trim() !== '') || /^\s*[^\s{]/.test(rest);
}

/** What the system makes up as it is read (`/proc`) says that it is empty, and is not. */
async function hasNoSize(place: string, size: number): Promise<boolean> {
  return size === 0 && (await readBytes(place, 0, 1)).length > 0 && (await statFile(place)).size === 0;
}

/** null at first, and for one that is none of ours: then all is read again. */
function readCursor(cursor: string | null): z.infer<typeof Cursor> | null {
  try {
    return Cursor.parse(JSON.parse(cursor ?? ''));
  } catch {
    return null;
  }
}

function newest(times: readonly number[]): number[] {
  return times.toSorted((one, other) => other - one).slice(0, TIMES_MAX);
}

/** Whole lines of a part of the file, what follows them, and where the next look begins; `cut`: it may begin within a line. */
async function readLines(
  { place, signal, alive }: ProbeLook,
  { from, to, cut }: { from: number; to: number; cut: boolean },
): Promise<{ readonly lines: readonly string[]; readonly rest: string; readonly end: number }> {
  const bytes = await readBytes(place, from, to);
  alive();
  signal.throwIfAborted();
  const start = cut ? bytes.indexOf(0x0a) + 1 : 0;
  // A line without its end is being written still.
  const end = bytes.lastIndexOf(0x0a) + 1;
  const text = bytes.subarray(start, Math.max(start, end)).toString('utf8');
  const rest = bytes.subarray(Math.max(start, end), Math.max(start, end) + REST_BYTES_MAX).toString('utf8');
  return { lines: text.split('\n'), rest, end: from + Math.max(start, end) };
}

async function readBytes(place: string, from: number, to: number): Promise<Buffer> {
  try {
    const file = await open(place, 'r');
    try {
      const bytes = Buffer.alloc(to - from);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asPlaceError(error, place);
  }
}

/** The time of one line; null where it has none, or is no JSON. */
function timeOf(line: string, path: readonly string[]): number | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return null;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return readTime(value);
}
