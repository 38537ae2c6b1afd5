/**
 * What the owner does with a policy file: look at what it would change, put it in force, take it back.
 */
import { SeedError } from '../../errors.ts';
import type { Actor } from '../actor.ts';
import type { SubstrateReader, Substrate } from '../substrate.ts';
import { notifierNames } from '../home/notifiers.ts';
import { CATALOGUE_EDITION, pricesFor } from './catalogue.ts';
import { getDocument, putPolicy, putPrices } from './change.ts';
import type { PolicyChange } from './compare.ts';
import { comparePolicies } from './compare.ts';
import type { DocumentRemark } from './document.ts';
import { noteOutsideEdits } from './outside.ts';
import { readPolicy } from './policy.ts';
import type { PolicyRows } from './rows.ts';
import { readPolicyRows } from './rows.ts';

/** What a file would do. */
export interface PolicyPlan {
  /** Null where there is any problem: then it cannot be applied. */
  readonly rows: PolicyRows | null;
  readonly problems: readonly DocumentRemark[];
  readonly warnings: readonly DocumentRemark[];
  readonly changes: readonly PolicyChange[];
  /** The policy that the changes were found against. */
  readonly against: string;
}

/** Reads a file and finds what it would change; changes nothing. */
export async function planPolicy(substrate: SubstrateReader, document: string): Promise<PolicyPlan> {
  // Loaded with the first file: the YAML parser is some 10 MB of memory.
  const { readDocument } = await import('./document.ts');
  const { rows: said, problems, warnings } = readDocument(document);
  const rows = said === null ? null : { ...said, prices: [...said.prices, ...(await pricesFor(said))] };
  return substrate.read(async (db) => {
    const { policyVersion: against, rows: present } = await readPolicy(db);
    if (rows === null) return { rows, problems, warnings, changes: [], against };
    const changes = comparePolicies(present, rows);
    return {
      rows,
      problems,
      warnings: [...warnings, ...unpriced(rows), ...untold(rows, substrate.home)],
      changes,
      against,
    };
  });
}

function unpriced({ routing, prices }: PolicyRows): DocumentRemark[] {
  const known = new Set(prices.map(({ target, model }) => JSON.stringify([target, model])));
  return routing
    .filter(({ target, model }) => !known.has(JSON.stringify([target, model])))
    .map(({ role, target, model }) => ({
      line: null,
      message: `roles.${role}: nobody knows a price of ${target} ${model}; it is skipped until you add one under prices.`,
    }));
}

/** Notifiers that nobody has set yet. What is wrong with their file the doctor says. */
function untold({ notices }: PolicyRows, home: string): DocumentRemark[] {
  const known = notifierNames(home);
  if (known === null) return [];
  const missing = new Set(notices.map(({ notifier }) => notifier).filter((name) => !known.has(name)));
  return [...missing].map((name) => ({
    line: null,
    message: `notices: there is no notifier ${name}; set it with \`seed notify add ${name} -- COMMAND\`.`,
  }));
}

export interface ApplyOptions {
  readonly document: string;
  readonly actor: Actor;
  /** The policy that the owner saw the difference to; another one in force by now is a conflict. */
  readonly against: string | null;
}

export interface Applied {
  readonly version: number;
  readonly hash: string;
  readonly changes: readonly PolicyChange[];
  readonly warnings: readonly DocumentRemark[];
  readonly receipt: number;
}

/**
 * Makes a file the policy: one transaction, one receipt, a new version. What was spent stays spent.
 *
 * @throws SeedError `policy_invalid` naming the first problem, `conflict`
 */
export function applyPolicy(substrate: Substrate, options: ApplyOptions): Promise<Applied> {
  return put(substrate, options, { action: 'policy.apply', origin: 'apply', detail: {} });
}

/** Makes the document of an earlier version the policy again, as a new version. @throws SeedError `not_found` */
export async function rollbackPolicy(
  substrate: Substrate,
  { version, actor }: { version: number; actor: Actor },
): Promise<Applied> {
  const document = await substrate.read((db) => getDocument(db, version));
  const how = { action: 'policy.rollback', origin: 'rollback', detail: { to: version } } as const;
  return put(substrate, { document, actor, against: null }, how);
}

interface How {
  readonly action: 'policy.apply' | 'policy.rollback';
  readonly origin: 'apply' | 'rollback';
  readonly detail: Readonly<Record<string, number>>;
}

async function put(substrate: Substrate, { document, actor, against }: ApplyOptions, how: How): Promise<Applied> {
  const { rows, problems, warnings } = await planPolicy(substrate, document);
  await noteOutsideEdits(substrate);
  const { value, seq } = await substrate.operate({ action: how.action, actor }, async (op) => {
    op.receipt({ detail: how.detail });
    if (rows === null) throw invalid(problems);
    const { policyVersion } = await readPolicy(op);
    if (against !== null && against !== policyVersion) throw changedMeanwhile(against, policyVersion);
    const changes = comparePolicies(await readPolicyRows(op), rows);
    const made = await putPolicy(op, { document, rows, origin: how.origin });
    op.receipt({ detail: { ...how.detail, ...made, from: policyVersion, ...countKinds(changes) } });
    return { version: made.version, hash: made.hash, changes, warnings };
  });
  return { ...value, receipt: seq };
}

function countKinds(changes: readonly PolicyChange[]): Record<PolicyChange['kind'], number> {
  const count = (kind: PolicyChange['kind']): number => changes.filter((change) => change.kind === kind).length;
  return { added: count('added'), removed: count('removed'), changed: count('changed') };
}

function invalid(problems: readonly DocumentRemark[]): SeedError {
  const [first] = problems;
  const line = first?.line ?? null;
  const at = line === null ? '' : `Line ${line}: `;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new SeedError('policy_invalid', `The policy was not applied. ${at}${first?.message ?? ''}${more}`, {
    hint: 'See all of it with `seed policy check FILE`.',
    data: { problems: problems.length, line },
  });
}

function changedMeanwhile(against: string, now: string): SeedError {
  return new SeedError('conflict', `The policy is ${now} by now; you looked at ${against}.`, {
    hint: 'Look at the difference again: `seed policy apply FILE`.',
    data: { against, now },
  });
}

/**
 * Brings the catalogue's prices to this version's edition, with a receipt, where the rows have another.
 * For the daemon's start; loads the catalogue only if there is something to do.
 *
 * @throws SeedError `conflict` while edits wait for the owner's acknowledgement
 */
export async function refreshPrices(substrate: Substrate, actor: Actor): Promise<void> {
  const rows = await substrate.read(readPolicyRows);
  const isOld = rows.prices.some(({ source, edition }) => source === 'catalogue' && edition !== CATALOGUE_EDITION);
  if (!isOld) return;
  await noteOutsideEdits(substrate);
  const prices = await pricesFor(rows);
  await substrate.operate({ action: 'policy.prices', actor }, async (op) => {
    // What the owner has not confirmed must not be confirmed by the way.
    if ((await readPolicy(op)).pendingEdits > 0) throw unconfirmed();
    const seal = await putPrices(op, prices);
    op.receipt({ detail: { edition: CATALOGUE_EDITION, prices: prices.length, ...seal } });
  });
}

function unconfirmed(): SeedError {
  return new SeedError(
    'conflict',
    'The policy was edited outside; its prices wait until the owner has acknowledged it.',
    {
      hint: 'See `seed policy history`, then `seed policy ack`.',
    },
  );
}
