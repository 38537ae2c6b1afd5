import { describe, expect, test } from 'vitest';
import { runsSeedHook } from '../../../src/cli/connect/command-line.ts';
import { addHooks, claudeHooks, hooksMember, removeHooks } from '../../../src/cli/connect/hooks.ts';

const hooksOf = (home: string) =>
  claudeHooks((hook) => `/usr/bin/node /opt/seed/bin/seed.cjs hook ${hook} --home ${home}`);
const WANTED = hooksOf('/srv/home');
const LINTER = { matcher: 'Edit', hooks: [{ type: 'command', command: 'lint' }] };

/** Settings as people have them. */
const FILES: Readonly<Record<string, string>> = {
  'an empty object': '{}\n',
  'no hooks yet': '{\n  "model": "opus"\n}\n',
  'hooks of another event': JSON.stringify({ hooks: { PostToolUse: [LINTER] } }, null, 2),
  'hooks of the same event': `{\n  "hooks": {\n    "Stop": [\n      { "hooks": [ {"type":"command","command":"say done"} ] }\n    ]\n  },\n  "z": 1\n}\n`,
  'one line': '{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"seed-data"}]}]},"a":[1,2]}',
  tabs: `{\n\t"permissions": {\n\t\t"allow": []\n\t},\n\t"hooks": {\n\t\t"SessionStart": [\n\t\t\t${JSON.stringify(LINTER)}\n\t\t]\n\t}\n}\n`,
};

describe('hooks in a client’s settings', () => {
  test.each(Object.entries(FILES))('%s: ours are added, all else stays byte for byte', (_what, text) => {
    const { text: added, change } = addHooks(text, WANTED);
    expect(change).toBe('added');
    const before = JSON.parse(text) as { hooks?: Record<string, unknown[]> };
    const after = JSON.parse(added) as { hooks: Record<string, unknown[]> };
    expect(after).toEqual({
      ...before,
      hooks: {
        ...before.hooks,
        SessionStart: [...(before.hooks?.['SessionStart'] ?? []), WANTED['SessionStart']],
        Stop: [...(before.hooks?.['Stop'] ?? []), WANTED['Stop']],
      },
    });
    expect(addHooks(added, WANTED)).toEqual({ text: added, change: 'none' });
    const removed = removeHooks(added);
    expect(removed).toEqual({ text, change: 'removed' });
    expect(removeHooks(removed.text)).toEqual({ text, change: 'none' });
  });

  test('are brought up to date when the seed has moved', () => {
    const { text } = addHooks(FILES['hooks of the same event'] ?? '', WANTED);
    const moved = addHooks(text, hooksOf('/srv/elsewhere'));
    expect(moved.change).toBe('updated');
    expect(moved.text).toBe(text.replaceAll('/srv/home', '/srv/elsewhere'));
  });

  test('a file without content gets an object', () => {
    expect(JSON.parse(addHooks('', WANTED).text)).toEqual(hooksMember(WANTED));
  });

  test.each([
    ['not JSON', '{ "hooks": '],
    ['hooks that are a list', '{"hooks": []}'],
    ['an event that is no list', '{"hooks": {"Stop": {}}}'],
    ['a comment', '{} // mine'],
    ['the same event twice', '{"hooks": {"Stop": [], "Stop": [1]}}'],
  ])('%s: refused', (_what, text) => {
    expect(() => addHooks(text, WANTED)).toThrow(expect.objectContaining({ code: 'conflict' }));
  });

  test('a group that somebody put another command into is theirs', () => {
    const [ours] = WANTED['Stop']?.hooks ?? [];
    const mixed = JSON.stringify({ hooks: { Stop: [{ hooks: [ours, { type: 'command', command: 'x' }] }] } });
    expect(removeHooks(mixed)).toEqual({ text: mixed, change: 'none' });
  });

  test('are known by their command line', () => {
    const ours = [
      '/n /opt/seed/bin/seed.cjs hook stop --as a',
      "/n '/My Apps/bin/seed.cjs' hook session-start",
      'seed hook stop',
    ];
    const others = [
      'seed-data hook stop',
      '/n /opt/seed/bin/seed.cjs mcp',
      'echo seed hook',
      'seed hook stopwatch',
      7,
      null,
    ];
    expect(ours.map(runsSeedHook)).toEqual(ours.map(() => true));
    expect(others.map(runsSeedHook)).toEqual(others.map(() => false));
  });
});
