/** Sessions by the beginning of their id, as people type them. */
import { InvalidArgumentError } from 'commander';
import { SeedError } from '../errors.ts';
import type { Ask } from './ask.ts';

const ID_CHARS = 32;
/** Sessions that are looked at at once. */
const PAGE = 200;

/** An argument that names a session: its id, or the beginning of it. */
export function parseSessionId(text: string): string {
  if (/^[0-9a-f]{4,32}$/.test(text)) return text;
  throw new InvalidArgumentError('The id of a session is 32 hex digits; the first four or more of them will do.');
}

interface Page {
  readonly sessions: readonly { readonly session_id: string }[];
  readonly next_cursor: string | null;
}

/** The whole id of the session that is meant. @throws SeedError `not_found`; `invalid_input` where several begin so */
export async function wholeSessionId(question: Ask, beginning: string): Promise<string> {
  if (beginning.length === ID_CHARS) return beginning;
  // One that changes meanwhile may stand on two pages.
  const found = new Set<string>();
  let cursor: string | null = null;
  // To the last: what follows may end a session, and must mean that one alone.
  do {
    const input: object = { limit: PAGE, ...(cursor === null ? {} : { cursor }) };
    const listed: Page = await question<Page>({ tool: 'session_list', input });
    for (const { session_id: id } of listed.sessions) if (id.startsWith(beginning)) found.add(id);
    cursor = listed.next_cursor;
  } while (cursor !== null);
  const [only, another] = found;
  if (only !== undefined && another === undefined) return only;
  const hint = '`seed session list` shows them.';
  if (only === undefined) throw new SeedError('not_found', `There is no session ${beginning}….`, { hint });
  const message = `${found.size} sessions begin with ${beginning}.`;
  throw new SeedError('invalid_input', message, { hint: `Give more digits; ${hint}`, data: { argument: 'session' } });
}
