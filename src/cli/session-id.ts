/** Sessions by the beginning of their id, as people type them. */
import { InvalidArgumentError } from 'commander';
import { SeedError } from '../errors.ts';
import type { Ask } from './ask.ts';

const ID_CHARS = 32;
/** Sessions of a page, and pages that are looked through, the session changed last first. */
const PAGE = 200;
const PAGES_MAX = 10;

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
  const found: string[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MAX; page++) {
    const input: object = { limit: PAGE, ...(cursor === null ? {} : { cursor }) };
    const listed: Page = await question<Page>({ tool: 'session_list', input });
    found.push(...listed.sessions.map(({ session_id: id }) => id).filter((id) => id.startsWith(beginning)));
    cursor = listed.next_cursor;
    if (cursor === null) break;
  }
  const [only, another] = found;
  if (only !== undefined && another === undefined) return only;
  const hint = '`seed session list` shows them.';
  if (only === undefined) throw new SeedError('not_found', `There is no session ${beginning}….`, { hint });
  const message = `${found.length} sessions begin with ${beginning}.`;
  throw new SeedError('invalid_input', message, { hint: `Give more digits; ${hint}`, data: { argument: 'session' } });
}
