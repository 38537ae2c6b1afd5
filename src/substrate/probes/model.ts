/** Probes: what is looked at outside the seed to see when work there was done. */
import * as z from 'zod';
import type { SeedError } from '../../errors.ts';
import type { Row } from '../store/store.ts';
import { SubsystemName } from '../tasks/model.ts';

export const PROBES_MAX = 100;
export const EVERY_S = { min: 60, max: 7 * 86_400, usual: 900 } as const;

export const PROBE_KINDS = ['git', 'files', 'jsonl', 'sqlite'] as const;
export type ProbeKind = (typeof PROBE_KINDS)[number];

/** The name of the subsystem whose work it sees. */
export const ProbeName: typeof SubsystemName = SubsystemName;

export const ProbePlace = z
  .string()
  .max(1_024)
  .refine((text) => /^\/[^\0]*$/.test(text), 'an absolute path');

const Identifier = z.string().min(1).max(128);

/** Where in it the time stands, by kind. */
export const ProbeSpec = z.strictObject({
  /** jsonl: a member, or members of members: `meta.time`. */
  field: z.string().min(1).max(200).optional(),
  /** sqlite. */
  table: Identifier.optional(),
  column: Identifier.optional(),
});
export type ProbeSpec = z.infer<typeof ProbeSpec>;

export interface Probe {
  readonly name: string;
  readonly kind: ProbeKind;
  readonly place: string;
  readonly spec: ProbeSpec;
  readonly everyMs: number;
  readonly addedAt: number;
  /** How far it has read, in the words of its kind; null at first. */
  readonly cursor: string | null;
  /** When it was last looked at, to within some hours; null before the first time. */
  readonly lookedAt: number | null;
  /** What is in its way; null while nothing is. */
  readonly problem: { readonly reason: ProbeReason; readonly says: string; readonly since: number } | null;
}

/** Why a place cannot be read; `data.reason` of `probe_failed`. */
export const PROBE_REASONS = [
  'gone',
  'no_repository',
  'no_commits',
  'foreign',
  'unreadable',
  'no_program',
  'slow',
  'too_many',
  'no_times',
  'damaged',
  'busy',
] as const;
export type ProbeReason = (typeof PROBE_REASONS)[number];

/** What stands in a row of `substrate_probes`. */
export interface ProbeRow extends Row {
  readonly name: string;
  readonly kind: ProbeKind;
  readonly place: string;
  readonly spec: string;
  readonly every_ms: number;
  readonly added_at: number;
  readonly cursor: string | null;
  readonly looked_at: number | null;
  readonly problem: ProbeReason | null;
  readonly says: string | null;
  readonly problem_since: number | null;
}

/** The reason that a `probe_failed` carries; null for any other error. */
export function reasonOf({ code, data }: SeedError): ProbeReason | null {
  if (code !== 'probe_failed') return null;
  return PROBE_REASONS.find((reason) => reason === data['reason']) ?? 'unreadable';
}
