/** Records of work in few words; all of it happens before one moment. */
import type { WorkRecord } from '../../../src/mind/coherence/record.ts';
import { recordOf } from '../../../src/mind/coherence/record.ts';
import type { Subsystem } from '../../../src/substrate/coherence/subsystems.ts';
import type { WorkItem } from '../../../src/substrate/coherence/work.ts';
import { HOUR_MS } from './random.ts';

export const NOW: number = Date.UTC(2026, 10, 21, 7);
export const DAY_MS: number = 24 * HOUR_MS;

const OF_TASKS: Subsystem = {
  name: 'website',
  kind: 'tasks',
  finished: false,
  stage: 'observe',
  stageAt: 0,
  evidenceAt: 0,
};

/** An item that was accepted so many hours ago. */
export function item(agoHours: number, more: Partial<WorkItem> = {}): WorkItem {
  const blank = { id: 't1', deadline: null, verifiedAt: null, cancelledAt: null };
  return { ...blank, acceptedAt: NOW - agoHours * HOUR_MS, ...more };
}

/** An item that was verified so many hours after it was accepted, and had so many. */
export function done(
  agoHours: number,
  { tookHours, dueHours = null }: { tookHours: number; dueHours?: number | null },
) {
  const accepted = NOW - agoHours * HOUR_MS;
  return item(agoHours, {
    verifiedAt: accepted + tookHours * HOUR_MS,
    deadline: dueHours === null ? null : accepted + dueHours * HOUR_MS,
  });
}

/** Made for each whole number from `from` down to `to`, oldest first. */
export function each(from: number, to: number, make: (ago: number) => WorkItem): WorkItem[] {
  return Array.from({ length: from - to + 1 }, (_, i) => make(from - i));
}

export function ofTasks(
  items: readonly WorkItem[],
  { now = NOW, scheduledSince = null }: { now?: number; scheduledSince?: number | null } = {},
): WorkRecord {
  return recordOf({ items, seen: [], scheduledSince, unseen: null }, OF_TASKS, now);
}

/** What a probe saw, each so many hours ago. */
export function ofProbe(
  agoHours: readonly number[],
  { finished = false, goneHours = null }: { finished?: boolean; goneHours?: number | null } = {},
): WorkRecord {
  const seen = agoHours.map((ago) => NOW - ago * HOUR_MS).toSorted((a, b) => a - b);
  const unseen = goneHours === null ? null : ({ reason: 'gone', since: NOW - goneHours * HOUR_MS } as const);
  return recordOf({ items: [], seen, scheduledSince: null, unseen }, { ...OF_TASKS, kind: 'probe', finished }, NOW);
}
