import * as z from 'zod';
import { readCoherence, readCoherenceOf } from '../mind/coherence/state.ts';
import { listAlarms } from '../substrate/coherence/alarms.ts';
import { listHistory } from '../substrate/coherence/history.ts';
import type { SubstrateReader } from '../substrate/substrate.ts';
import { SubsystemName } from '../substrate/tasks/model.ts';
import { CoherenceView, coherenceText, viewAlarm, viewEntry, viewSubsystem } from './coherence-view.ts';
import { defineTool } from './define.ts';

/** The worst are shown; each can be asked for by its name. */
const SUBSYSTEMS_SHOWN = 50;
const PAST_SHOWN = 50;

export const coherenceRead = defineTool({
  name: 'coherence_read',
  title: 'How the work goes',
  description: 'Use when you ask whether work gets done, or what stalls and since when.',
  scope: 'coherence.read',
  surface: 'daily',
  access: 'read',
  subject: ({ subsystem }) => ({ type: 'subsystem', id: subsystem ?? '*' }),
  input: z.strictObject({ subsystem: SubsystemName.optional(), history: z.boolean().optional() }),
  output: CoherenceView,
  text: coherenceText,
  handler: async ({ subsystem, history = false }, { substrate }): Promise<CoherenceView> => {
    const coherence = await (subsystem === undefined
      ? readCoherence(substrate)
      : readCoherenceOf(substrate, subsystem));
    const shown = coherence.subsystems.slice(0, SUBSYSTEMS_SHOWN);
    return {
      overall: coherence.overall,
      subsystems: shown.map(viewSubsystem),
      not_shown: coherence.subsystems.length - shown.length,
      ...(history ? await readPast(substrate, subsystem) : { history: null, alarms: null }),
    };
  },
});

/** Alarms, newest first, of one subsystem or of all; and what became of that one. */
async function readPast(
  substrate: SubstrateReader,
  subsystem: string | undefined,
): Promise<Pick<CoherenceView, 'history' | 'alarms'>> {
  return substrate.read(async (db) => {
    const only = subsystem === undefined ? {} : { subsystem };
    const alarms = await listAlarms(db, { ...only, limit: PAST_SHOWN });
    const entries = subsystem === undefined ? [] : await listHistory(db, subsystem, { limit: PAST_SHOWN });
    return { alarms: alarms.map(viewAlarm), history: subsystem === undefined ? null : entries.map(viewEntry) };
  });
}
