import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { assertSpec, PROBES } from '../mind/coherence/probes/index.ts';
import type { Sighting } from '../mind/coherence/probes/probe.ts';
import { EVERY_S, PROBE_KINDS, ProbeName, ProbePlace, ProbeSpec } from '../substrate/probes/model.ts';
import { findProbe, isSamePlace, saveProbe } from '../substrate/probes/probes.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';

export const probeAdd = defineTool({
  name: 'probe_add',
  title: 'Watch work outside the seed',
  description:
    'Use when the seed should see whether work outside it gets done: commits, files, a log or a table on this box. Again for the same place: to change how often, or whether it is finished.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({
    kind: z.enum(PROBE_KINDS),
    path: ProbePlace,
    name: ProbeName,
    ...ProbeSpec.shape,
    every_s: z.int().min(EVERY_S.min).max(EVERY_S.max).default(EVERY_S.usual),
    finished: z.boolean().default(false),
  }),
  output: z.object({
    name: z.string(),
    known: z.boolean().describe('it was there; only how often and finished may have changed'),
    found: z.int().describe('completions that were found there now, 1000 at most'),
    last_done: z.string().nullable(),
    receipt: z.int(),
  }),
  handler: async (input, { actor, substrate, signal }) => {
    const { kind, path: place, name, field, table, column, finished, every_s: every } = input;
    const spec = {
      ...(field === undefined ? {} : { field }),
      ...(table === undefined ? {} : { table }),
      ...(column === undefined ? {} : { column }),
    };
    assertSpec(kind, spec);
    const draft = { kind, place, name, spec, everyMs: every * 1_000 };
    const before = await substrate.read((db) => findProbe(db, name));
    const known = before !== null && isSamePlace(before, draft);
    const now = substrate.sources.now();
    const look = { place, spec, cursor: null, now, driver: substrate.driver, signal, alive: () => {} };
    // Whoever marks work as finished may have taken it away already.
    const { times }: Pick<Sighting, 'times'> = known
      ? { times: [] }
      : await PROBES[kind].read(look).catch(stopped(signal));
    const { seq } = await substrate.operate({ action: 'probe.add', actor }, async (op) => {
      op.receipt({ subject: { type: 'subsystem', id: name }, detail: { kind, finished: finished ? 1 : 0 } });
      await saveProbe(op, draft, { finished });
    });
    // As they are counted from then on: one for each moment, and none that is to come.
    const found = new Set(times.filter((time) => time <= now));
    const newest = found.size === 0 ? null : isoTime(Math.max(...found));
    return { name, known, found: found.size, last_done: newest, receipt: seq };
  },
});

/** What a reader throws when nobody waits for it any more is its own affair. */
function stopped(signal: AbortSignal): (error: unknown) => never {
  return (error) => {
    if (!signal.aborted) throw error;
    throw new SeedError('interrupted', 'It was stopped before it was read; nothing was added.', {
      hint: 'Start again.',
    });
  };
}
