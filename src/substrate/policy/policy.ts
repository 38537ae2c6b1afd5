/**
 * The owner's policy, as it stands at this very moment.
 *
 * It lives in rows, which `seed policy apply` writes and which anybody who may open the database can
 * edit with plain SQL. Nothing here is a default for a target, a model, a tier, a price or a ceiling;
 * what cannot be read resolves to null, and then nothing is called (LOCK-RUNTIME-1, -2).
 */
import { SeedError } from '../../errors.ts';
import { POLICY_SEAL_ACTIONS, POLICY_SEALS, POLICY_TABLES } from '../store/migrations/0003-policy.ts';
import { RECORDERS } from '../store/migrations/0022-moments.ts';
import type { Reading, ReadHandle, Row } from '../store/store.ts';
import type { Ceiling, Routing } from './model.ts';
import { readPolicyRows } from './rows.ts';
import { needsAcknowledgement, readUnconfirmed } from './seal.ts';
import type { PolicyProblem } from './snapshot.ts';
import { PolicySnapshot } from './snapshot.ts';

export { noteOutsideEdits } from './outside.ts';
export type { PolicyProblem, PolicySnapshot } from './snapshot.ts';

/**
 * The ordered candidates of a role, or null: then nothing may be called, and {@link explainRouting}
 * says why.
 */
export async function resolveRouting(db: ReadHandle, role: string, dispatch: 'any' | 'cron'): Promise<Routing | null> {
  return (await readPolicy(db)).resolve(role, dispatch).routing;
}

export interface RoutingExplanation {
  readonly role: string;
  readonly dispatch: 'any' | 'cron';
  readonly policyVersion: string;
  /** Null exactly where {@link resolveRouting} says null. */
  readonly routing: Routing | null;
  /** Why it is null, row by row; empty where it is not. */
  readonly problems: readonly PolicyProblem[];
}

/** What a role resolves to, with the reasons in plain words where it resolves to null. */
export async function explainRouting(
  db: ReadHandle,
  role: string,
  dispatch: 'any' | 'cron',
): Promise<RoutingExplanation> {
  const policy = await readPolicy(db);
  return { role, dispatch, policyVersion: policy.policyVersion, ...policy.resolve(role, dispatch) };
}

/** @throws SeedError `policy_invalid` when a ceiling cannot be read: then nothing may be spent */
export async function readCeilings(db: ReadHandle): Promise<readonly Ceiling[]> {
  return ceilingsOf(await readPolicy(db));
}

/** As {@link readCeilings}, of a policy that was read already. */
export function ceilingsOf({ ceilings, common }: PolicySnapshot): readonly Ceiling[] {
  if (ceilings !== null) return ceilings;
  throw unreadable('The table of ceilings', common);
}

/** The IANA zone that calendar windows are counted in. @throws SeedError `policy_invalid` when it is none */
export async function readTimezone(db: ReadHandle): Promise<string> {
  return timezoneOf(await readPolicy(db));
}

/** As {@link readTimezone}, of a policy that was read already. */
export function timezoneOf({ timezone, common }: PolicySnapshot): string {
  if (timezone !== null) return timezone;
  throw unreadable('The time zone', common);
}

function unreadable(what: string, problems: readonly PolicyProblem[]): SeedError {
  const [first] = problems;
  return new SeedError('policy_invalid', `${what} of the policy cannot be read. ${first?.problem ?? ''}`.trim(), {
    hint: first?.todo ?? 'See `seed policy check`.',
  });
}

// ---------------------------------------------------------------------------------------------
// Never stale, and rarely read

interface GenerationRow extends Row {
  readonly unnoted: 0 | 1;
  readonly newest: number | null;
  readonly mark: string | null;
  readonly sealed: number | null;
  readonly schema: number;
}

/**
 * One small read that changes with every edit: the newest change's random mark stands for one state
 * of the tables, the newest receipt on the policy for what the owner has said of it, and the schema's
 * version for the triggers that record changes.
 */
const GENERATION = `
  SELECT EXISTS (SELECT 1 FROM policy_change WHERE receipt IS NULL) AS unnoted,
         (SELECT max(id) FROM policy_change) AS newest,
         (SELECT mark FROM policy_change ORDER BY id DESC LIMIT 1) AS mark,
         (SELECT max(seq) FROM substrate_receipts WHERE ${POLICY_SEALS}) AS sealed,
         (SELECT schema_version FROM pragma_schema_version) AS schema`;

/** States that are kept made sense of: the one in force, and those of transactions under way. */
const SNAPSHOTS_MAX = 8;
const snapshots = new Map<string, PolicySnapshot>();

/** The policy in the state that this view of the database shows. */
export async function readPolicy(db: ReadHandle): Promise<PolicySnapshot> {
  return snapshotOf(db, await db.get<GenerationRow>(GENERATION));
}

/** As {@link readPolicy}; null while an edit from outside is in force that has no receipt yet. */
export const NOTED_POLICY: Reading<PolicySnapshot | null> = {
  tables: [...Object.keys(POLICY_TABLES), 'substrate_notices', 'substrate_policy_versions', 'policy_change'],
  actions: POLICY_SEAL_ACTIONS,
  read: async (db) => {
    const generation = await db.get<GenerationRow>(GENERATION);
    return generation?.unnoted === 1 ? null : snapshotOf(db, generation);
  },
};

async function snapshotOf(db: ReadHandle, generation: GenerationRow | undefined): Promise<PolicySnapshot> {
  // Of a database without a single edit the mark says nothing; it is read anew, and is empty.
  const mark = generation?.mark ?? null;
  if (generation === undefined || mark === null) return loadPolicy(db);
  const { newest, sealed, schema } = generation;
  const key = `${mark} ${newest} ${sealed} ${schema}`;
  const known = snapshots.get(key);
  if (known !== undefined) return known;
  const loaded = await loadPolicy(db);
  const [oldest] = snapshots.keys();
  if (snapshots.size >= SNAPSHOTS_MAX && oldest !== undefined) snapshots.delete(oldest);
  snapshots.set(key, loaded);
  return loaded;
}

async function loadPolicy(db: ReadHandle): Promise<PolicySnapshot> {
  const rows = await readPolicyRows(db);
  const asks = await needsAcknowledgement(db);
  const unconfirmed = asks ? await readUnconfirmed(db, rows) : { pending: [], isWhole: true };
  return new PolicySnapshot({
    rows,
    policyVersion: await readVersion(db),
    ...unconfirmed,
    isGuarded: await isGuarded(db),
  });
}

interface VersionRow extends Row {
  readonly version: number;
  readonly edits: number;
}

/** `7`, or `7+2` with two edits from outside since. */
async function readVersion(db: ReadHandle): Promise<string> {
  const row = await db.get<VersionRow>(
    `SELECT coalesce(max(version), 0) AS version,
            (SELECT count(*) FROM policy_change WHERE origin IS NULL AND id > coalesce(max(last_change), 0)) AS edits
     FROM substrate_policy_versions`,
  );
  const { version, edits } = row ?? { version: 0, edits: 0 };
  return edits === 0 ? String(version) : `${version}+${edits}`;
}

interface TriggerRow extends Row {
  readonly name: string;
  readonly sql: string;
}

/** Without the triggers an edit would go unseen, by the log and by what is remembered here. */
async function isGuarded(db: ReadHandle): Promise<boolean> {
  const rows = await db.all<TriggerRow>("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'");
  const found = new Map(rows.map(({ name, sql }) => [name, sql]));
  return Object.entries(RECORDERS).every(([name, sql]) => found.get(name) === sql);
}
