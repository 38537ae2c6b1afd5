/** Memories as they are kept, and the limits that hold for everyone. */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import type { Row } from '../store/store.ts';

/** One memory's text, in UTF-8. */
export const TEXT_BYTES_MAX: number = 100 * 1024;
/** What a search takes; of it the first words count. */
export const QUERY_CHARS_MAX: number = 128 * 1024;
/** Memories of one space, and of one helper in all spaces: nobody fills the disk for all others. */
export const SPACE_MEMORIES_MAX = 1_000_000;
export const HELPER_MEMORIES_MAX = 20_000;
export const HELPER_BYTES_MAX: number = 100 * 1024 * 1024;
/** Memories of one batch. */
export const BATCH_MEMORIES_MAX = 200;
export const SPACES_MAX = 100_000;
/** What was forgotten can be restored for this long, and is erased then. */
export const FORGOTTEN_MS: number = 7 * 86_400_000;
/** Without a thread, what one writer writes into a space belongs together unless this long lies between. */
export const TOGETHER_MS: number = 60 * 60_000;
/** Places from one memory to the next that does not belong to it: more than anybody looks for neighbours. */
export const APART = 100;

/** What the name of a writer's own thread begins with; no name that can be given does. */
export const OWN_THREAD = '~';

/** Rows of one space: its number times this, plus the place there. */
export const SPACE_ROWS: number = 2 ** 32;

/** What is known of a memory besides its text. */
export interface MemoryFacts extends Row {
  readonly nr: number;
  readonly thread: number;
  readonly place: number;
  /** When it happened, ms; the time of writing unless the writer said otherwise. */
  readonly at: number;
  readonly written_at: number;
  /** The receipt of its writing. */
  readonly receipt: number;
  readonly forgotten_at: number | null;
  readonly supersedes: number | null;
  readonly superseded_by: number | null;
  /** Whose it is: a grant's id, or `owner`. */
  readonly writer: string;
  readonly writer_name: string;
  readonly kind: string;
  readonly subject: string;
  readonly source: string;
}

export interface MemoryRow extends MemoryFacts {
  readonly hash: string;
  readonly salt: Uint8Array;
  readonly text: string;
}

/** `SPACE.PLACE`, both numbers: says where it is, and nothing else. */
export function memoryId(nr: number): string {
  return `${Math.floor(nr / SPACE_ROWS)}.${nr % SPACE_ROWS}`;
}

export const MEMORY_ID: RegExp = /^(?:0|[1-9]\d{0,5})\.(?:0|[1-9]\d{0,9})$/;

/** The row of an id. @throws SeedError `invalid_input` */
export function memoryNr(id: string): number {
  const [space = Number.NaN, place = Number.NaN] = MEMORY_ID.test(id) ? id.split('.').map(Number) : [];
  if (place < SPACE_ROWS) return space * SPACE_ROWS + place;
  throw new SeedError('invalid_input', `"${id.slice(0, 40)}" is not the id of a memory.`, {
    hint: 'Give it as it was shown, such as 3.17.',
    data: { argument: 'id' },
  });
}

/** Nothing by that id, as far as this actor is concerned: it does not learn whether others have it. */
export function noMemory(id: string): SeedError {
  return new SeedError('not_found', `There is no memory ${id} that you may see.`, {
    hint: 'memory_search finds what there is; what was forgotten is gone after 7 days.',
    data: { argument: 'id' },
  });
}

/** Whose memories an actor's are: its grant's, whatever it is named; the owner's own by name. */
export function holderOf(actor: Actor): string {
  return actor.grant ?? actor.id;
}

/** The owner, and the seed itself: no grant's scopes bind them. */
export function isUnbound(actor: Actor): boolean {
  return actor.grant === null && (actor.kind === 'human' || actor.kind === 'substrate');
}
