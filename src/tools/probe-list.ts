import * as z from 'zod';
import { listCompletions } from '../substrate/coherence/completions.ts';
import { findSubsystem } from '../substrate/coherence/subsystems.ts';
import type { Probe } from '../substrate/probes/model.ts';
import { PROBE_KINDS } from '../substrate/probes/model.ts';
import { listProbes } from '../substrate/probes/probes.ts';
import { isoTime } from '../substrate/sources.ts';
import type { ReadHandle } from '../substrate/substrate.ts';
import { defineTool } from './define.ts';

const ProbeView = z.object({
  name: z.string(),
  kind: z.enum(PROBE_KINDS),
  path: z.string(),
  in: z.string().nullable().describe('where in it the time stands'),
  every_s: z.int(),
  finished: z.boolean(),
  last_done: z.string().nullable(),
  looked: z.string().nullable().describe('to within some hours; null: not yet'),
  problem: z.string().nullable(),
  problem_since: z.string().nullable(),
});
export type ProbeView = z.infer<typeof ProbeView>;

export const probeList = defineTool({
  name: 'probe_list',
  title: 'List probes',
  description: 'Use when you want to see what is looked at outside the seed, and whether it can be read.',
  scope: null,
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({ probes: z.array(ProbeView) }),
  handler: async (_input, { substrate }) => {
    const now = substrate.sources.now();
    return substrate.read(async (db) => {
      const probes: ProbeView[] = [];
      for (const probe of await listProbes(db)) probes.push(await view(db, probe, now));
      return { probes };
    });
  },
});

async function view(db: ReadHandle, probe: Probe, now: number): Promise<ProbeView> {
  const { name, kind, place, spec, everyMs, lookedAt, problem } = probe;
  const [newest] = await listCompletions(db, name, { until: now, limit: 1 });
  const where = [spec.field, spec.table, spec.column].filter((part) => part !== undefined);
  return {
    name,
    kind,
    path: place,
    in: where.length === 0 ? null : where.join('.'),
    every_s: everyMs / 1_000,
    finished: (await findSubsystem(db, name))?.finished ?? false,
    last_done: newest === undefined ? null : isoTime(newest),
    looked: lookedAt === null ? null : isoTime(lookedAt),
    problem: problem?.says ?? null,
    problem_since: problem === null ? null : isoTime(problem.since),
  };
}
