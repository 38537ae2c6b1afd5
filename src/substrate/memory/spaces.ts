/**
 * Which memories an actor may see: the one place that decides it, and the one function that reads them.
 *
 * A space is `private` (one for each grant, kept by the grant's id), `shared`, `session:ID`, or a name.
 * A grant reaches what its scopes name, whole: `memory.read:SPACE`, `memory.write:SPACE`; a local agent
 * also the space of each open session that it holds. The owner reaches all, those of others as
 * `private:NAME`. Every read goes through {@link scan}, which takes nothing but a {@link Reach}.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import type { ReadHandle, Row, Value, WriteHandle } from '../store/store.ts';
import { holderOf, isUnbound, SPACE_ROWS, SPACES_MAX } from './model.ts';

export type Verb = 'read' | 'write';

const PRIVATE = 'private';
const SESSION = 'session:';
const NAME = '[a-z0-9][a-z0-9._-]{0,63}';

/** What a caller may give as a space: a name, a session's, or, for the owner, somebody's private one. */
export const SPACE: RegExp = new RegExp(`^(?:session:|private:)?${NAME}$`);

/** Held sessions whose spaces are looked at, the newest. */
const SESSIONS_MAX = 50;

/** Rows `from` to `to`, both included, and the name of the space as this actor calls it; null for all. */
interface Range {
  readonly from: number;
  readonly to: number;
  readonly name: string | null;
}

/** What somebody may see or change. Only {@link reachOf} makes one. */
export class Reach {
  readonly #ranges: readonly Range[];

  private constructor(ranges: readonly Range[]) {
    this.#ranges = ranges;
  }

  /** For {@link reachOf} alone. */
  static to(ranges: readonly Range[]): Reach {
    return new Reach(ranges);
  }

  /** The one space, of those within reach, that holds a row. */
  of(nr: number): Reach {
    return new Reach(this.ranges(nr).map((range) => (range.name === null ? { ...range, ...rowsAround(nr) } : range)));
  }

  /** The ranges that hold a row; all of them for null. */
  ranges(nr: number | null): readonly Range[] {
    return nr === null ? this.#ranges : this.#ranges.filter(({ from, to }) => from <= nr && nr <= to);
  }
}

const EVERYTHING: Range = { from: 0, to: Number.MAX_SAFE_INTEGER, name: null };

interface SpaceRow extends Row {
  readonly id: number;
  readonly name: string;
}

/**
 * What an actor may read or write: everything that it may, or of that one space alone.
 *
 * @throws SeedError `forbidden` naming the scope that the wanted space needs
 */
export async function reachOf(
  db: ReadHandle,
  actor: Actor,
  { verb, space = null }: { verb: Verb; space?: string | null },
): Promise<Reach> {
  if (space === null && isUnbound(actor)) return Reach.to([EVERYTHING]);
  const names = space === null ? await namesOf(db, actor, verb) : [space];
  const ranges: Range[] = [];
  for (const name of names) {
    const stored = await storedName(db, actor, { verb, space: name });
    const found = await db.get<SpaceRow>('SELECT id, name FROM substrate_memory_spaces WHERE name = ?', stored);
    if (found !== undefined) ranges.push({ ...rowsOf(found.id), name });
  }
  return Reach.to(ranges);
}

function rowsAround(nr: number): { from: number; to: number } {
  return rowsOf(Math.floor(nr / SPACE_ROWS));
}

function rowsOf(id: number): { from: number; to: number } {
  return { from: id * SPACE_ROWS, to: (id + 1) * SPACE_ROWS - 1 };
}

/** The spaces that an actor may read or write, as it calls them, whether or not anything is in them. */
async function namesOf(db: ReadHandle, actor: Actor, verb: Verb): Promise<string[]> {
  const prefix = `memory.${verb}:`;
  const named = [...actor.scopes]
    .filter((scope) => scope.startsWith(prefix))
    .map((scope) => scope.slice(prefix.length));
  return [...new Set([...named, ...(await heldSessions(db, actor))])];
}

interface SessionRow extends Row {
  readonly id: string;
}

async function heldSessions(db: ReadHandle, { kind, grant }: Actor): Promise<string[]> {
  if (kind !== 'agent' || grant === null) return [];
  const rows = await db.all<SessionRow>(
    `SELECT id FROM substrate_sessions WHERE holder = ? AND status = 'open' ORDER BY changed_at DESC LIMIT ?`,
    grant,
    SESSIONS_MAX,
  );
  return rows.map(({ id }) => SESSION + id);
}

/** Whether an actor may do that in that space. */
async function mayUse(db: ReadHandle, actor: Actor, { verb, space }: { verb: Verb; space: string }): Promise<boolean> {
  if (isUnbound(actor)) return true;
  if (space.startsWith(`${PRIVATE}:`)) return false;
  if (actor.scopes.has(`memory.${verb}:${space}`)) return true;
  if (!space.startsWith(SESSION) || actor.kind !== 'agent' || actor.grant === null) return false;
  const held = await db.get(
    `SELECT id FROM substrate_sessions WHERE id = ? AND holder = ? AND status = 'open'`,
    space.slice(SESSION.length),
    actor.grant,
  );
  return held !== undefined;
}

/**
 * The name under which a space is kept.
 *
 * @throws SeedError `forbidden`, `not_found` (the owner names somebody who was never here)
 */
async function storedName(
  db: ReadHandle,
  actor: Actor,
  { verb, space }: { verb: Verb; space: string },
): Promise<string> {
  if (!(await mayUse(db, actor, { verb, space }))) throw outOfReach(verb, space);
  if (space === PRIVATE) return `${PRIVATE}:${holderOf(actor)}`;
  if (!space.startsWith(`${PRIVATE}:`)) return space;
  const whose = space.slice(PRIVATE.length + 1);
  const known = await db.get<SpaceRow>('SELECT id, name FROM substrate_memory_spaces WHERE name = ?', space);
  if (known !== undefined || whose === 'owner') return space;
  const grant = await db.get<{ id: string }>('SELECT id FROM substrate_grants WHERE name = ? OR id = ?', whose, whose);
  if (grant !== undefined) return `${PRIVATE}:${grant.id}`;
  throw new SeedError('not_found', `Nobody named ${whose} has a private space.`, {
    hint: 'Let that agent connect once, name somebody who has, or name another space with --space.',
    data: { argument: 'space' },
  });
}

function outOfReach(verb: Verb, space: string): SeedError {
  const own = space.startsWith(`${PRIVATE}:`);
  const scope = own ? 'none that can be had' : `the scope memory.${verb}:${space}`;
  return new SeedError('forbidden', `You may not ${verb} the space ${space}; that needs ${scope}.`, {
    hint: own ? 'Your own private space is called private.' : 'Ask the owner for it with membrane_request.',
    data: { argument: 'space', ...(own ? {} : { scope: `memory.${verb}:${space}` }) },
  });
}

/**
 * The number of a space that is written into, which begins with the first memory in it.
 *
 * @throws SeedError `forbidden`, `not_found`, `memory_full`
 */
export async function openSpace(
  tx: WriteHandle,
  actor: Actor,
  space: string,
): Promise<{ id: number; nextNr: number; records: number; stored: string }> {
  const stored = await storedName(tx, actor, { verb: 'write', space });
  const find = () =>
    tx.get<{ id: number; next_nr: number; records: number }>(
      'SELECT id, next_nr, records FROM substrate_memory_spaces WHERE name = ?',
      stored,
    );
  let found = await find();
  if (found === undefined) {
    const last = await tx.get<{ id: number | null }>('SELECT max(id) AS id FROM substrate_memory_spaces');
    if ((last?.id ?? 0) >= SPACES_MAX) throw tooManySpaces();
    await tx.run('INSERT INTO substrate_memory_spaces (name, next_nr, records) VALUES (?, 1, 0)', stored);
    found = await find();
  }
  if (found === undefined) throw new Error('A space that was just made is not there.');
  return { id: found.id, nextNr: found.next_nr, records: found.records, stored };
}

function tooManySpaces(): SeedError {
  return new SeedError('memory_full', `There are ${SPACES_MAX} spaces already.`, {
    hint: 'Write into one of those that are there.',
    data: { argument: 'space' },
  });
}

/** Where a statement has the filter: the column that holds the row number stands between the brackets. */
const WITHIN = /WITHIN\(([a-z.]+)\)/;

/** What to read of the memories within reach. */
export interface Scan {
  /** Has `WITHIN(column)` once, as a condition, after all other parameters. */
  readonly sql: string;
  readonly params?: readonly Value[];
  /** Only this row. */
  readonly nr?: number;
}

const filtered = new Map<string, string>();

/** @throws Error for a statement without the filter: it would read everybody's */
function filter(sql: string): string {
  let text = filtered.get(sql);
  if (text === undefined) {
    text = sql.replace(WITHIN, '$1 BETWEEN ? AND ?');
    if (text === sql || WITHIN.test(text)) throw new Error('A statement that reads memories must be filtered once.');
    filtered.set(sql, text);
  }
  return text;
}

/**
 * THE way memories are read: whatever is asked, of the spaces within reach and of no other.
 *
 * The statement runs once for each space, and each row comes with the space's name as the actor calls it
 * (`space`); null where it reaches all.
 */
export async function scan<R extends Row>(
  db: ReadHandle,
  reach: Reach,
  { sql, params = [], nr }: Scan,
): Promise<(R & { readonly space: string | null })[]> {
  const text = filter(sql);
  const found: (R & { readonly space: string | null })[] = [];
  for (const { from, to, name } of reach.ranges(nr ?? null)) {
    const rows = await db.all<R>(text, ...params, nr ?? from, nr ?? to);
    for (const row of rows) found.push({ ...row, space: name });
  }
  return found;
}

interface NamedSpace extends Row {
  readonly name: string;
  readonly records: number;
}

/** Spaces as the owner calls them: somebody's private one by the name that this one alone has had. */
const CALLED = `SELECT s.id, s.records, coalesce('${PRIVATE}:' || g.name, s.name) AS name
  FROM substrate_memory_spaces s LEFT JOIN substrate_grants g
    ON s.name LIKE '${PRIVATE}:%' AND g.id = substr(s.name, ${PRIVATE.length + 2})
    AND NOT EXISTS (SELECT 1 FROM substrate_grants o WHERE o.name = g.name AND o.id <> g.id)`;

/** Every space with how much is in it; for the owner alone. */
export async function listSpaces(db: ReadHandle): Promise<readonly NamedSpace[]> {
  return db.all<NamedSpace>(`${CALLED} ORDER BY name LIMIT 1000`);
}

/** The name of a memory's space, for whoever reaches all of them. */
export async function spaceNameOf(db: ReadHandle, nr: number): Promise<string> {
  const id = Math.floor(nr / SPACE_ROWS);
  const row = await db.get<SpaceRow>(`${CALLED} WHERE s.id = ?`, id);
  return row?.name ?? '';
}
