/**
 * What there is to tell the owner, found in durable state at each look.
 *
 * A fact has a key: the same key is told once. Whatever comes in crowds is one fact with a count, and its
 * event has a least time between two tellings.
 */
import { countDead, newestDead } from '../../../substrate/bus/dead.ts';
import { listPendingRequests } from '../../../substrate/identity/requests.ts';
import { dayOf } from '../../../substrate/ledger/calendar.ts';
import { dollars } from '../../../substrate/ledger/money.ts';
import type { CeilingUse } from '../../../substrate/ledger/model.ts';
import { ceilingUses } from '../../../substrate/ledger/usage.ts';
import { listExpiring } from '../../../substrate/owed.ts';
import type { NoticeEvent } from '../../../substrate/policy/model.ts';
import type { PolicySnapshot } from '../../../substrate/policy/snapshot.ts';
import { listReceipts } from '../../../substrate/receipts/query.ts';
import type { Receipt } from '../../../formats/receipt.ts';
import { isoTime } from '../../../substrate/sources.ts';
import type { ReadHandle } from '../../../substrate/substrate.ts';

/** Something that the owner may want to be told. */
export interface Fact {
  /** Stands for it: the same key is told once. */
  readonly key: string;
  readonly event: NoticeEvent;
  /** What is so, in a sentence. */
  readonly says: string;
  /** The command that deals with it; empty where nothing is to be done. */
  readonly todo: string;
}

/** What a source looks at. */
export interface Outlook {
  readonly db: ReadHandle;
  readonly policy: PolicySnapshot;
  /** ms since the epoch */
  readonly now: number;
}

export type FactSource = (outlook: Outlook) => Promise<readonly Fact[]>;

/** Of each kind, at most. */
const FACTS_MAX = 50;
const DAY_MS = 86_400_000;
/** How long before it expires a key is told of, and once more. */
const EXPIRY_DAYS = [7, 1] as const;
/** Per cent of a ceiling. */
const LEVELS = [50, 80] as const;
/** Receipts of one outcome that are looked at, and how many at a time. */
const RECEIPTS_MAX = 1_000;
const PAGE_RECEIPTS = 100;

/** Requests that wait for the owner. */
export const requestFacts: FactSource = async ({ db, now }) => {
  const pending = await listPendingRequests(db, now);
  return pending.slice(0, FACTS_MAX).map(({ body: { id, name, scopes } }) => ({
    key: `request ${id}`,
    event: 'request',
    says: `${name} asks for ${scopes.join(', ')}.`,
    todo: `seed requests show ${id}`,
  }));
};

/** Keys that expire within a week, and again within a day. */
export const keyFacts: FactSource = async ({ db, now }) => {
  const found = await listExpiring(db, { now, until: now + EXPIRY_DAYS[0] * DAY_MS, limit: FACTS_MAX });
  return found.map(({ name, expires_at: at }) => {
    const days = at - now <= EXPIRY_DAYS[1] * DAY_MS ? EXPIRY_DAYS[1] : EXPIRY_DAYS[0];
    return {
      key: `key ${name} ${at} ${days}`,
      event: 'key',
      says: `The key of ${name} expires ${isoTime(at)}.`,
      todo: `seed key issue ${name}-2`,
    };
  });
};

/** Dead letters: the newest, with how many there are. */
export const deadFacts: FactSource = async ({ db }) => {
  const newest = await newestDead(db);
  if (newest === null) return [];
  const { inbox, seq, recipient, sender_name: from } = newest;
  const count = await countDead(db);
  const many = count === 1 ? '' : ` There are ${count} such messages.`;
  const says = `A message from ${from} to ${recipient ?? 'somebody who was removed'} could not be delivered.${many}`;
  return [{ key: `dead ${inbox}.${seq}`, event: 'dead_letter', says, todo: `seed bus dead show ${inbox}.${seq}` }];
};

/** Ceilings of which half, four fifths or all is used, each at the highest of these. */
export const ceilingFacts: FactSource = async ({ db, policy, now }) => {
  const { ceilings, timezone } = policy;
  if (ceilings === null || timezone === null || ceilings.length === 0) return [];
  const { day, uses } = await ceilingUses(db, { ceilings, timezone, now, limit: FACTS_MAX });
  const stopped = await refusedToday(db, (time) => dayOf(time, timezone) === day);
  return uses.entries.flatMap((use) => {
    const level = stopped.has(ceilingKey(use.ceiling, use.scope, use.limitMicroUsd)) ? 100 : levelOf(use);
    return level === null ? [] : [ceilingFact(use, level)];
  });
};

function levelOf({ spentMicroUsd, limitMicroUsd }: CeilingUse): number | null {
  if (spentMicroUsd >= limitMicroUsd) return limitMicroUsd > 0 ? 100 : null;
  return LEVELS.findLast((level) => spentMicroUsd * 100 >= level * limitMicroUsd) ?? null;
}

function ceilingFact({ ceiling, scope, spentMicroUsd, limitMicroUsd, resetsAt }: CeilingUse, level: number): Fact {
  const whose = ceiling.startsWith(`${scope}/`) ? '' : ` for ${scope}`;
  const spent = `${dollars(spentMicroUsd)} of ${dollars(limitMicroUsd)}`;
  const until = resetsAt === null ? '' : ` It begins anew ${isoTime(resetsAt)}.`;
  const says =
    level === 100
      ? `The ceiling ${ceiling}${whose} is reached (${spent}): calls are refused.${until}`
      : `${level} % of the ceiling ${ceiling}${whose} is used: ${spent}.${until}`;
  return {
    // A limit that the owner changed is another one to reach.
    key: `ceiling ${ceiling} ${scope} ${limitMicroUsd} ${resetsAt ?? 'life'} ${level}`,
    event: 'ceiling',
    says,
    todo: 'seed usage',
  };
}

/** Ceilings, with the scope whose money they count and their limit, that have refused a call on that day. */
async function refusedToday(db: ReadHandle, isToday: (time: number) => boolean): Promise<ReadonlySet<string>> {
  const receipts = await newestReceipts(db, 'refused', (time) => isToday(time));
  const today = receipts.filter(({ code }) => code === 'over_ceiling');
  return new Set(today.map(({ detail }) => ceilingKey(detail['ceiling'], detail['scope'], detail['limit_micro_usd'])));
}

/** The newest receipts of an outcome, as long as their time is wanted. */
export async function newestReceipts(
  db: ReadHandle,
  outcome: 'refused' | 'failed',
  isWanted: (time: number) => boolean,
): Promise<Receipt[]> {
  const found: Receipt[] = [];
  for (let after: number | null = null; found.length < RECEIPTS_MAX; ) {
    const { receipts, next } = await listReceipts(db, { outcome }, { limit: PAGE_RECEIPTS, after });
    const wanted = receipts.filter(({ time }) => isWanted(Date.parse(time)));
    found.push(...wanted);
    if (next === null || wanted.length < receipts.length) break;
    after = next;
  }
  return found;
}

function ceilingKey(ceiling: unknown, scope: unknown, limitMicroUsd: unknown): string {
  return JSON.stringify([ceiling, scope, limitMicroUsd]);
}
