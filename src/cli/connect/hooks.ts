/**
 * The seed's hooks in a client's settings: `hooks` has a list of groups for each event, and a group a list
 * of commands. Ours is a group of its own, so that nothing of anybody else's is touched.
 */
import { isDeepStrictEqual } from 'node:util';
import { runsSeedHook } from './command-line.ts';
import type { Edited, Members } from './edit.ts';
import { checked, malformed, parse } from './edit.ts';
import { appendElement, isBare, removeMember, setMember } from './members.ts';

/** What one event gets. */
export interface HookGroup {
  /** Which of the event's kinds it is for; all of them without. */
  readonly matcher?: string;
  /** `timeout` in seconds. */
  readonly hooks: readonly { readonly type: 'command'; readonly command: string; readonly timeout: number }[];
}

export type Hooks = Readonly<Record<string, HookGroup>>;

const PLACE = { allowsComments: false };

/**
 * What Claude Code is to run: at the start of a conversation, but not after each compaction, what waits is
 * told; after each turn its transcript is taken over.
 */
export function claudeHooks(command: (hook: string) => string): Hooks {
  return {
    SessionStart: {
      matcher: 'startup|resume|clear',
      hooks: [{ type: 'command', command: command('session-start'), timeout: 10 }],
    },
    Stop: { hooks: [{ type: 'command', command: command('stop'), timeout: 60 }] },
  };
}

/** The groups as they stand in settings that have nothing else. */
export function hooksMember(wanted: Hooks): { readonly hooks: Readonly<Record<string, readonly HookGroup[]>> } {
  return { hooks: Object.fromEntries(Object.entries(wanted).map(([event, group]) => [event, [group]])) };
}

/** Adds the groups, or brings those that are there up to date. */
export function addHooks(text: string, wanted: Hooks): Edited {
  const before = parse(text, PLACE);
  const expected = structuredClone(before);
  let edited = text.trim() === '' ? '{}\n' : text;
  const changes = new Set<'added' | 'updated'>();
  for (const [event, group] of Object.entries(wanted)) {
    const groups = groupsOf(expected, event);
    const at = groups.findIndex(isOurs);
    if (at >= 0 && isDeepStrictEqual(groups[at], group)) continue;
    changes.add(at >= 0 ? 'updated' : 'added');
    if (at >= 0) edited = setMember(edited, ['hooks', event, at], group);
    else if (expected['hooks'] === undefined) edited = setMember(edited, ['hooks'], { [event]: [group] });
    else if (hooksOf(expected)[event] === undefined) edited = setMember(edited, ['hooks', event], [group]);
    else edited = appendElement(edited, ['hooks', event], group);
    const after = at >= 0 ? groups.with(at, group) : [...groups, group];
    expected['hooks'] = { ...hooksOf(expected), [event]: after };
  }
  if (changes.size === 0) return { text, change: 'none' };
  return { text: checked(edited, expected, PLACE), change: changes.has('added') ? 'added' : 'updated' };
}

/** Takes our groups out, and the lists that are empty then. */
export function removeHooks(text: string): Edited {
  const before = parse(text, PLACE);
  let [edited, expected] = [text, structuredClone(before)];
  for (const event of Object.keys(hooksOf(before))) {
    const groups = groupsOf(before, event);
    const others = groups.filter((group) => !isOurs(group));
    if (others.length === groups.length) continue;
    for (let at = groups.length - 1; at >= 0; at--) {
      if (isOurs(groups[at])) edited = removeMember(edited, ['hooks', event, at]);
    }
    const hooks: Members = { ...hooksOf(expected), [event]: others };
    if (isBare(edited, ['hooks', event])) {
      edited = removeMember(edited, ['hooks', event]);
      delete hooks[event];
    }
    expected = { ...expected, hooks };
  }
  if (edited === text) return { text, change: 'none' };
  if (isBare(edited, ['hooks'])) {
    edited = removeMember(edited, ['hooks']);
    delete expected['hooks'];
  }
  return { text: checked(edited, expected, PLACE), change: 'removed' };
}

function hooksOf(document: Members): Members {
  const { hooks = {} } = document;
  if (typeof hooks === 'object' && hooks !== null && !Array.isArray(hooks)) return hooks as Members;
  throw malformed('its "hooks" is not an object');
}

function groupsOf(document: Members, event: string): readonly unknown[] {
  const groups = hooksOf(document)[event] ?? [];
  if (Array.isArray(groups)) return groups as readonly unknown[];
  throw malformed(`its hooks for ${event} are not a list`);
}

/** A group with nothing in it but a seed's hook. */
function isOurs(group: unknown): boolean {
  if (typeof group !== 'object' || group === null) return false;
  const { hooks } = group as { hooks?: unknown };
  return (
    Array.isArray(hooks) &&
    hooks.length > 0 &&
    hooks.every(
      (hook: unknown) =>
        typeof hook === 'object' && hook !== null && runsSeedHook((hook as { command?: unknown }).command),
    )
  );
}
