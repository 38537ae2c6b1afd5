/** Parts of what the policy's tools take and give. */
import * as z from 'zod';
import { isoTime } from '../substrate/sources.ts';
import type { HistoryEntry } from '../substrate/policy/change.ts';
import { DOCUMENT_CHARS_MAX } from '../substrate/policy/fields.ts';

export const PolicyDocument = z.string().max(DOCUMENT_CHARS_MAX).describe('The text of a policy file, YAML or JSON');

export const Remark = z.object({ line: z.int().nullable(), message: z.string() });

export const Change = z.object({
  kind: z.enum(['added', 'removed', 'changed']),
  what: z.string(),
  before: z.string().nullable(),
  after: z.string().nullable(),
});

export const Problem = z.object({ row: z.string(), problem: z.string(), todo: z.string() });

/** An edit that came from outside. */
export const Edit = z.object({
  change: z.int(),
  at: z.string(),
  table: z.string(),
  before: z.string().nullable(),
  after: z.string().nullable(),
  receipt: z.int().nullable(),
  acknowledged: z.string().nullable(),
});

export function viewEdit({ id, at, what, before, after, receipt, acknowledged }: HistoryEntry): z.infer<typeof Edit> {
  return {
    change: id,
    at: isoTime(at),
    table: what,
    before,
    after,
    receipt,
    acknowledged: acknowledged === null ? null : isoTime(acknowledged),
  };
}

export const Applied = z.object({
  version: z.int(),
  hash: z.string(),
  changes: z.array(Change),
  warnings: z.array(Remark),
  receipt: z.int(),
});
