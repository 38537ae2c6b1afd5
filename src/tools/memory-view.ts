/** Memories and spaces as tools take and show them. */
import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { Actor } from '../substrate/actor.ts';
import type { Memory } from '../substrate/memory/look.ts';
import { holderOf, MEMORY_ID, memoryId } from '../substrate/memory/model.ts';
import { SPACE } from '../substrate/memory/spaces.ts';
import { isoTime } from '../substrate/sources.ts';

export const Space = z.string().max(80).regex(SPACE, 'private, shared, session:ID, or a name such as team');
export const MemoryId = z.string().max(20).regex(MEMORY_ID, 'an id as memory_search shows it, such as 3.17');
export const Kind = z
  .string()
  .max(40)
  .regex(/^[a-z0-9][a-z0-9._-]*$/, 'a word such as fact');
export const Subject = z.string().min(1).max(200);
export const When = z.string().min(4).max(40);

/** Where a memory comes from, and what became of it. */
const PROVENANCE = {
  id: z.string(),
  space: z.string(),
  kind: z.string().optional(),
  subject: z.string().optional(),
  at: z.string().describe('When it happened'),
  by: z.string().describe('Who wrote it'),
  source: z.string().optional(),
  receipt: z.int(),
  supersedes: z.string().optional(),
  superseded_by: z.string().optional(),
};

export const MemoryView = z.object({ ...PROVENANCE, text: z.string() });
export type MemoryView = z.infer<typeof MemoryView>;

/** A memory as this actor may see it; the text as given. */
export function viewMemory(memory: Memory, actor: Actor, text: string = memory.text): MemoryView {
  const { nr, kind, subject, at, source, receipt, supersedes, superseded_by: newer } = memory;
  return {
    id: memoryId(nr),
    space: memory.space === `private:${holderOf(actor)}` ? 'private' : memory.space,
    ...(kind === '' ? {} : { kind }),
    ...(subject === '' ? {} : { subject }),
    at: isoTime(at),
    by: memory.writer === holderOf(actor) ? actor.id : memory.writer_name,
    ...(source === '' ? {} : { source }),
    receipt,
    ...(supersedes === null ? {} : { supersedes: memoryId(supersedes) }),
    ...(newer === null ? {} : { superseded_by: memoryId(newer) }),
    text,
  };
}

/** A memory in words. */
export function memoryBlock({ id, space, kind, subject, at, by, superseded_by: newer, text }: MemoryView): string {
  const about = [kind, subject].filter((part) => part !== undefined).join(', ');
  const old = newer === undefined ? '' : `, superseded by ${newer}`;
  return `${id} in ${space}${about === '' ? '' : ` (${about})`}, ${at.slice(0, 10)}, by ${by}${old}:\n${text}`;
}

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;
const DAY_MS = 86_400_000;

/**
 * A time as given, in ms; UTC unless it says otherwise. A bare day is its beginning, or its end where
 * `end` is asked for.
 *
 * @throws SeedError `invalid_input`
 */
export function readTime(argument: string, text: string | undefined, { end = false } = {}): number | undefined {
  if (text === undefined) return undefined;
  const bare = text.length === 10;
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(text.slice(10));
  const ms = TIME.test(text) ? Date.parse(bare ? text : `${text.replace(' ', 'T')}${zoned ? '' : 'Z'}`) : Number.NaN;
  if (!Number.isNaN(ms)) return bare && end ? ms + DAY_MS - 1 : ms;
  throw new SeedError('invalid_input', `${argument}: "${text}" is not a time.`, {
    hint: 'Write it as 2026-11-21 or 2026-11-21T07:00:00Z.',
    data: { argument },
  });
}
