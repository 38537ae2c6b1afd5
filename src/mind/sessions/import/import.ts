/**
 * Makes a session of a transcript on disk, or adds to the one that it became before what it has got since.
 */
import { createHash } from 'node:crypto';
import { SeedError } from '../../../errors.ts';
import type { Actor } from '../../../substrate/actor.ts';
import type { ImportRecord } from '../../../substrate/sessions/imports.ts';
import { countInDoubt } from '../../../substrate/sessions/messages.ts';
import { Staging } from '../../../substrate/sessions/staging.ts';
import { continued, findImports, holderNamed, landImport } from '../../../substrate/sessions/imports.ts';
import type { CheckpointInput, Session } from '../../../substrate/sessions/model.ts';
import { sessionOf } from '../../../substrate/sessions/sessions.ts';
import type { Substrate } from '../../../substrate/substrate.ts';
import type { Message } from '../../../substrate/transcript.ts';
import { claudeCode } from './claude-code.ts';
import { codex } from './codex.ts';
import type { Position } from './file.ts';
import { TranscriptFile } from './file.ts';
import type { Format, Said, TranscriptClient } from './format.ts';
import { NOTHING } from './format.ts';
import { Tally } from './parts.ts';
import { SeedFileReader } from './seed-file.ts';

const FORMATS: Readonly<Record<TranscriptClient, Format>> = { 'claude-code': claudeCode, codex };

const GOAL_UNITS_MAX = 4_000;

export interface ImportRequest {
  readonly actor: Actor;
  /** Absolute. */
  readonly path: string;
  readonly from: TranscriptClient | 'seed';
  /** The local agent that is to hold it; null for the owner. */
  readonly as: string | null;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

export interface Imported {
  readonly session: Session;
  /** Made now, added to, or what it was before. */
  readonly outcome: 'new' | 'added' | 'unchanged';
  readonly messages: number;
  readonly calls: number;
  /** Calls of the whole session without a result. */
  readonly inDoubt: number;
  /** What was left out of the whole file, in words. */
  readonly leftOut: readonly string[];
  /** A last line was not whole; it is left for the next time. */
  readonly torn: boolean;
  readonly receipt: number | null;
}

const underWay = new WeakMap<Substrate, Promise<unknown>>();

/** Imports of one home go one after the other: they share the place where they are staged. */
export async function importTranscript(substrate: Substrate, request: ImportRequest): Promise<Imported> {
  const before = underWay.get(substrate) ?? Promise.resolve();
  const own = before.then(
    () => importNow(substrate, request),
    () => importNow(substrate, request),
  );
  underWay.set(substrate, own);
  return own;
}

async function importNow(substrate: Substrate, request: ImportRequest): Promise<Imported> {
  const { from, signal } = request;
  await using file = await TranscriptFile.open(request.path);
  const head = await file.head();
  if (head === null) throw nothingIn(request);
  const known = await substrate.read((db) => findImports(db, from, head));
  const found = await file.furthest(known, signal);
  return await take(substrate, request, {
    file,
    head,
    record: found?.place ?? null,
    from: found?.position ?? { bytes: 0, hash: createHash('sha256') },
  });
}

interface Taking {
  readonly file: TranscriptFile;
  readonly head: string;
  /** The import that this one goes on from. */
  readonly record: ImportRecord | null;
  readonly from: Position;
}

async function take(substrate: Substrate, request: ImportRequest, taking: Taking): Promise<Imported> {
  const { file, record, head } = taking;
  const { session: base, holder } = await substrate.read(async (db) => ({
    session: record === null ? null : await sessionOf(db, record.session),
    holder: await holderNamed(db, request.as, substrate.sources.now()),
  }));
  if (base !== null && record?.bytes === file.size) return unchanged(substrate, base, record);
  await using staging = await Staging.open(substrate, base);
  const reader = readerOf(request.from, record);
  let batch: Message[] = [];
  const reading = await file.read({
    from: taking.from,
    signal: request.signal,
    onLine: (text, isLast) => {
      const messages = reader.line(text, isLast);
      batch.push(...(messages ?? []));
      return messages !== null;
    },
    onPiece: async (bytes) => {
      if (batch.length > 0) await staging.add(batch);
      batch = [];
      request.onProgress(bytes, file.size);
    },
  });
  const checkpoint = reader.finish(staging.hash);
  if (staging.counts.messages === 0) {
    if (base === null || record === null) throw nothingIn(request);
    return await unchanged(substrate, base, record, reading.torn);
  }
  if (record !== null) await substrate.read((db) => continued(db, record));
  const { bytes, hash } = reading;
  const landed = await landImport(substrate, staging, {
    actor: request.actor,
    holder,
    file: {
      client: request.from,
      head,
      bytes,
      hash,
      carry: JSON.stringify(reader.carry()),
      leftOut: reader.tally.counts,
    },
    checkpoint,
    before: record,
  });
  return {
    ...landed,
    ...staging.counts,
    outcome: record === null ? 'new' : 'added',
    leftOut: reader.tally.lines,
    torn: reading.torn,
  };
}

async function unchanged(
  substrate: Substrate,
  session: Session,
  record: ImportRecord,
  torn: boolean = false,
): Promise<Imported> {
  const inDoubt = await substrate.read((db) => countInDoubt(db, session.id));
  const leftOut = new Tally(record.leftOut).lines;
  return { session, outcome: 'unchanged', messages: 0, calls: 0, inDoubt, leftOut, torn, receipt: null };
}

/** What reads the lines of a file, whatever wrote them. */
interface LineReader {
  readonly tally: Tally;
  /** The messages of a line; null where it could not be read. */
  line(text: string | null, isLast: boolean): readonly Message[] | null;
  carry(): Readonly<Record<string, string>>;
  /** Where a new session stands. @throws SeedError `conflict` unless the file is whole */
  finish(hash: string): CheckpointInput;
}

function readerOf(from: ImportRequest['from'], record: ImportRecord | null): LineReader {
  if (from === 'seed') return seedLines();
  const carried = record === null ? {} : (JSON.parse(record.carry) as Record<string, string>);
  return clientLines(FORMATS[from](carried), new Tally(record?.leftOut ?? {}));
}

function clientLines(reader: ReturnType<Format>, tally: Tally): LineReader {
  let goal = '';
  const read = (text: string): Said | null => {
    if (text.trim() === '') return NOTHING;
    try {
      return reader.read(JSON.parse(text), tally);
    } catch (error) {
      if (error instanceof SyntaxError) return null;
      throw error;
    }
  };
  return {
    tally,
    carry: () => reader.carry(),
    finish: () => (goal === '' ? {} : { goal }),
    line: (text, isLast) => {
      const said = text === null ? null : read(text);
      // Half a line is read when it is whole.
      if (said === null && !isLast) tally.add(text === null ? 'lines that are too long' : 'lines that cannot be read');
      if (goal === '') goal = (said?.prompt ?? '').slice(0, GOAL_UNITS_MAX).toWellFormed();
      return said?.messages ?? null;
    },
  };
}

function seedLines(): LineReader {
  const reader = new SeedFileReader();
  return {
    tally: new Tally(),
    carry: () => ({}),
    finish: (hash) => reader.finish(hash).checkpoint,
    line: (text) => reader.read(text ?? '').messages,
  };
}

function nothingIn({ from, path }: ImportRequest): SeedError {
  return new SeedError('invalid_input', `There is no message in ${path}, read as a transcript of ${from}.`, {
    hint: 'Look whether it is the right file, and of that client.',
    data: { argument: 'file' },
  });
}
