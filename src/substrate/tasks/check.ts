/**
 * A task's stated check: facts that the seed finds out by itself, out of a small closed set. Nothing is
 * run and no file is opened.
 *
 * Whoever does a task must not pass its check by itself. What somebody only claims counts when it is
 * another principal than the doer; and where the doer stated the check, so does all of it.
 */
import { lstat } from 'node:fs/promises';
import { SeedError } from '../../errors.ts';
import type { Receipt } from '../../formats/receipt.ts';
import type { Actor } from '../actor.ts';
import { listReceipts } from '../receipts/query.ts';
import type { ReadHandle } from '../store/store.ts';
import { StatedCheck } from './model.ts';
import { rootGrant } from './principal.ts';

/** Receipts of the wanted kind that are looked at, newest first. */
const EVIDENCE_MAX = 50;

/** @throws SeedError `forbidden`, `invalid_input` for a check that the actor may not state, or that proves nothing */
export async function assertStatable(check: StatedCheck, { kind }: Actor): Promise<void> {
  const { file } = check;
  if (file === undefined) {
    if (check.receipt?.startsWith('task.') !== true) return;
    throw new SeedError('invalid_input', 'check: What happens to tasks proves nothing about them.', {
      hint: 'Name an action that only the work itself leaves.',
      data: { argument: 'check' },
    });
  }
  // Whether a file is there would tell a helper from outside about the box.
  if (kind === 'helper') {
    throw new SeedError('forbidden', 'check: A helper cannot have files of this box looked at.', {
      hint: 'State a check on a receipt, or acceptance in words.',
      data: { argument: 'check' },
    });
  }
  if (await isFilled(file)) {
    throw new SeedError('invalid_input', 'check: That file is there already, so it would prove nothing.', {
      hint: 'Name a file that only the work makes.',
      data: { argument: 'check' },
    });
  }
}

/** What must be looked at outside the transaction; null where nothing must. */
export async function lookOutside(check: StatedCheck | null): Promise<boolean | null> {
  return check?.file === undefined ? null : isFilled(check.file);
}

/** A regular file with something in it; a link is not followed. */
async function isFilled(path: string): Promise<boolean> {
  try {
    const found = await lstat(path);
    return found.isFile() && found.size > 0;
  } catch {
    // Not there, or not to be seen: it does not hold.
    return false;
  }
}

export interface CheckFacts {
  /** The receipt after which evidence counts. */
  readonly after: number;
  readonly adderPrincipal: string;
  readonly doerPrincipal: string;
  /** What {@link lookOutside} found. */
  readonly outside: boolean | null;
}

/** Whether the check holds now. */
export async function holds(db: ReadHandle, check: StatedCheck, facts: CheckFacts): Promise<boolean> {
  const isOwn = facts.adderPrincipal === facts.doerPrincipal;
  if (check.file !== undefined) return facts.outside === true && !isOwn;
  const outcome = check.claimed === true ? 'claimed' : 'ok';
  const filter = { action: check.receipt, outcome, actor: check.by, from: facts.after + 1 } as const;
  // One window of the log: a check must not hold up the writer, whatever the log's length.
  const { receipts } = await listReceipts(db, filter, { limit: EVIDENCE_MAX });
  for (const { actor } of receipts) {
    if (outcome === 'ok' && !isOwn) return true;
    if (await isAnother(db, actor, facts.doerPrincipal)) return true;
  }
  return false;
}

/** Nobody can say any more who stood behind a grant that is gone: it is not another. */
async function isAnother(db: ReadHandle, { id, grant }: Receipt['actor'], doer: string): Promise<boolean> {
  const principal = grant === null ? id : await rootGrant(db, grant);
  return principal !== null && principal !== doer;
}

export function readCheck(json: string | null): StatedCheck | null {
  return json === null ? null : StatedCheck.parse(JSON.parse(json));
}
