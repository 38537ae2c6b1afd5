/** The mind as tools show it: how the loop is, and each organ with why it does or does not work. */
import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { Pulse, PulseState } from '../mind/loop/pulse.ts';
import type { Mind } from '../mind/mind.ts';
import { ORGANS } from '../mind/organs/traits.ts';
import { listOrganRows } from '../substrate/mind/organs.ts';
import type { ReadHandle } from '../substrate/substrate.ts';
import { readSwitch } from '../substrate/switches.ts';

/** The refusal of a name that no organ has. */
export function noSuchOrgan(organ: string): SeedError {
  return new SeedError('not_found', `There is no organ "${organ}".`, {
    hint: `There are ${ORGANS.map(({ name }) => name).join(', ')}.`,
    data: { argument: 'organ' },
  });
}

export const OrganView = z.object({
  name: z.string(),
  on: z.boolean(),
  working: z.boolean(),
  why: z.string(),
});
type OrganView = z.infer<typeof OrganView>;

/** Why an organ does what it does, as it was decided last; by its switch alone where nothing turns. */
function viewOrgan({ name, isOn }: { name: string; isOn: boolean }, state: PulseState | null): OrganView {
  const decision = state?.decisions.find(({ organ }) => organ === name);
  const working = state?.running.includes(name) ?? false;
  const unknown = isOn ? 'no daemon serves, so it waits' : 'it is switched off';
  return { name, on: isOn, working, why: decision?.because ?? unknown };
}

export const MindView = z.object({
  state: z.enum(['off', 'resting', 'working', 'silent']),
  paused: z.boolean(),
  halted: z.boolean(),
  restarts: z.int().describe('How often the loop stood still and was replaced'),
  looks_within_s: z.int().nullable().describe('When it looks again by itself, at the latest'),
  organs: z.array(OrganView),
});
export type MindView = z.infer<typeof MindView>;

/** The loop to look at: one that turns is waited for until it does, any other is not loaded for that. */
export async function pulseOf({ pulse }: Pick<Mind, 'pulse'>): Promise<Pulse | null> {
  if (pulse === null) return null;
  return pulse.turns ? pulse.ready() : pulse.now();
}

/** How the mind is, by its durable switches and, in the process that turns it, by its loop. */
export async function viewMind(db: ReadHandle, { pulse }: { readonly pulse: Pulse | null }): Promise<MindView> {
  const rows = new Map((await listOrganRows(db)).map(({ name, is_on: isOn }) => [name, isOn === 1]));
  const state = pulse === null ? null : pulse.state();
  const live = state === null || state.state === 'off' ? null : state;
  const organs = ORGANS.map(({ name, isOn }) => viewOrgan({ name, isOn: rows.get(name) ?? isOn }, live));
  return {
    state: live?.state ?? 'off',
    paused: await readSwitch(db, 'mind_paused'),
    halted: await readSwitch(db, 'halted'),
    restarts: live?.restarts ?? 0,
    looks_within_s: live === null ? null : Math.max(0, Math.ceil((live.restMs - live.silentMs) / 1_000)),
    organs,
  };
}

const STATES: Readonly<Record<MindView['state'], string>> = {
  off: 'The mind does not turn: no daemon serves this home.',
  resting: 'The mind rests',
  working: 'The mind works',
  silent: 'The mind stands still and is about to be replaced',
};

/** The first line: how the loop is. */
export function sayMind({ state, paused, halted, looks_within_s: within, restarts }: MindView): string {
  if (state === 'off') return STATES.off;
  const looks = within === null || state !== 'resting' ? '' : `; it looks again within ${within} s`;
  const braked = halted ? ', halted with the seed' : paused ? ', paused by the owner' : '';
  const again =
    restarts === 0 ? '' : ` It stood still ${restarts === 1 ? 'once' : `${restarts} times`} and was replaced.`;
  return `${STATES[state]}${braked}${looks}.${again}`;
}

/** One organ in a line. */
export function sayOrgan({ name, on, working, why }: OrganView): string {
  return `${name}: ${on ? (working ? 'works' : 'on') : 'off'}; ${why}.`;
}
