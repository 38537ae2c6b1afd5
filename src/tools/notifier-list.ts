import * as z from 'zod';
import { toSeedError } from '../errors.ts';
import { DESKTOP, readNotifiers } from '../substrate/home/notifiers.ts';
import { listTold } from '../substrate/notices/told.ts';
import { readPolicyRows } from '../substrate/policy/rows.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';

const TOLD_LISTED = 50;

export const notifierList = defineTool({
  name: 'notifier_list',
  title: 'How you are told',
  description: 'Use when it should be seen of what you are told, by which notifier, and what you were told last.',
  scope: null,
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    notifiers: z.array(
      z.object({
        name: z.string(),
        /** Empty for the desktop's own notification, and for a name of which there is no command. */
        command: z.array(z.string()),
        events: z.array(z.string()),
        problem: z.string().nullable(),
      }),
    ),
    told: z
      .array(
        z.object({
          at: z.string(),
          event: z.string(),
          notifier: z.string(),
          says: z.string(),
          state: z.enum(['told', 'failed', 'given_up']),
          tries: z.int(),
          retry_at: z.string().nullable(),
        }),
      )
      .describe(`The last ${TOLD_LISTED}`),
    problem: z.string().nullable().describe('Why the commands cannot be read'),
  }),
  handler: async (_input, { substrate }) => {
    const { notices } = await substrate.read(readPolicyRows);
    const { commands, problem } = readCommands(substrate.home);
    const names = [...new Set([DESKTOP, ...commands.keys(), ...notices.map(({ notifier }) => notifier)])];
    const told = await substrate.read((db) => listTold(db, TOLD_LISTED));
    return {
      notifiers: names.map((name) => ({
        name,
        command: [...(commands.get(name) ?? [])],
        events: notices.filter(({ notifier }) => notifier === name).map(({ event }) => event),
        problem: name === DESKTOP || commands.has(name) ? null : 'The policy names it, and there is no such command.',
      })),
      told: told.map(({ at, event, notifier, says, state, tries, retry_at: retryAt }) => ({
        at: isoTime(at),
        event,
        notifier,
        says,
        state,
        tries,
        retry_at: retryAt === null ? null : isoTime(retryAt),
      })),
      problem,
    };
  },
});

function readCommands(home: string): { commands: ReadonlyMap<string, readonly string[]>; problem: string | null } {
  try {
    return { commands: readNotifiers(home), problem: null };
  } catch (thrown) {
    return { commands: new Map(), problem: toSeedError(thrown).message };
  }
}
