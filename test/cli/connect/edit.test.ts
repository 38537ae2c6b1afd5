import { describe, expect, test } from 'vitest';
import type { ServerEntry } from '../../../src/cli/connect/command-line.ts';
import { addServer, removeServer } from '../../../src/cli/connect/edit.ts';

const ENTRY: ServerEntry = { command: '/usr/bin/node', args: ['/opt/seed/bin/seed.cjs', 'mcp', '--as', 'cursor'] };
const PLACE = { servers: 'mcpServers', name: 'seed', allowsComments: true } as const;
const STRICT = { ...PLACE, allowsComments: false } as const;

/** Files as people have them; each is valid for a client that allows comments. */
const FILES: Readonly<Record<string, string>> = {
  'an empty object': '{}\n',
  'no servers yet': '{\n  "theme": "dark"\n}\n',
  'an empty list of servers': '{\n  "mcpServers": {}\n}\n',
  'another server': '{\n  "mcpServers": {\n    "git": {\n      "command": "git-mcp"\n    }\n  }\n}\n',
  'things after the servers': '{\n  "mcpServers": {\n    "git": { "command": "git-mcp" }\n  },\n  "z": [1, 2]\n}',
  tabs: '{\n\t"mcpServers": {\n\t\t"git": {\n\t\t\t"command": "git-mcp"\n\t\t}\n\t}\n}\n',
  'four blanks': '{\n    "mcpServers": {\n        "git": {}\n    }\n}\n',
  'Windows line ends': '{\r\n  "mcpServers": {\r\n    "git": {}\r\n  }\r\n}\r\n',
  'one line': '{"mcpServers":{"git":{"command":"git-mcp"}},"other":true}',
  'odd but valid spacing': '{ "a":1 ,\n\n\n"mcpServers" : {"git":{ }   } }',
  'a byte order mark': '\uFEFF{\n  "mcpServers": {\n    "git": {}\n  }\n}\n',
};

const COMMENTED: Readonly<Record<string, string>> = {
  comments:
    '// mine\n{\n  // servers\n  "mcpServers": {\n    /* first */ "git": { "command": "git-mcp" } // last\n  }, // after\n  "inputs": []\n}\n// end\n',
  'a trailing comma': '{\n  "mcpServers": {\n    "git": { "command": "git-mcp" },\n  },\n}\n',
  'a trailing comma and a comment':
    '{\n  "mcpServers": {\n    "git": { "command": "git-mcp" }, // why not\n    // "old": {}\n  },\n}\n',
  'only a comment inside': '{\n  "mcpServers": {\n    // none yet\n  }\n}\n',
};

describe('adding the seed to a configuration', () => {
  test.each(Object.entries({ ...FILES, ...COMMENTED }))('%s: added once, everything else kept', (_what, text) => {
    const added = addServer(text, PLACE, ENTRY);
    expect(added.change).toBe('added');
    expect(isInserted(text, added.text)).toBe(true);
    expect(addServer(added.text, PLACE, ENTRY)).toEqual({ text: added.text, change: 'none' });
  });

  test.each(['', ' \n', '\uFEFF'])('a file without content gets an object: %j', (text) => {
    const { text: written } = addServer(text, STRICT, ENTRY);
    expect(JSON.parse(written.replace('\uFEFF', ''))).toEqual({ mcpServers: { seed: ENTRY } });
  });

  test('what a user added to the entry stays when the entry is brought up to date', () => {
    const old = { ...ENTRY, command: '/old/node', env: { A: '1' }, disabled: true };
    const { text, change } = addServer(JSON.stringify({ mcpServers: { seed: old } }), PLACE, ENTRY);
    expect(change).toBe('updated');
    expect(JSON.parse(text)).toEqual({ mcpServers: { seed: { ...old, command: ENTRY.command } } });
  });

  test.each([
    ['not JSON', '{ "mcpServers": '],
    ['two objects', '{} {}'],
    ['a list', '[]'],
    ['servers that are a list', '{"mcpServers": []}'],
    ['a comment where the client allows none', '{} // mine'],
    ['a trailing comma where the client allows none', '{"a": 1,}'],
    ['the same member twice', '{"mcpServers": {"a": {}}, "mcpServers": {"b": {}}}'],
  ])('%s is refused', (_what, text) => {
    expect(() => addServer(text, STRICT, ENTRY)).toThrow(expect.objectContaining({ code: 'conflict' }));
  });

  test('another program’s server of that name is neither replaced nor removed', () => {
    const text = '{"mcpServers": {"seed": {"command": "npx", "args": ["database-seeder"]}}}';
    expect(() => addServer(text, PLACE, ENTRY)).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(() => removeServer(text, PLACE)).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(addServer(text, { ...PLACE, name: 'home' }, ENTRY).change).toBe('added');
  });
});

/** Whether `after` is `before` with something put in at one place. */
function isInserted(before: string, after: string): boolean {
  let head = 0;
  while (head < before.length && before.charAt(head) === after.charAt(head)) head++;
  return after.length > before.length && after.endsWith(before.slice(head));
}

describe('removing it', () => {
  test.each(Object.entries({ ...FILES, ...COMMENTED }))('%s: as it was before', (what, text) => {
    const added = addServer(text, PLACE, ENTRY).text;
    const removed = removeServer(added, PLACE);
    expect(removed.change).toBe('removed');
    expect(removeServer(removed.text, PLACE)).toEqual({ text: removed.text, change: 'none' });
    // An empty list that stood first is no different from the one that adding made; it goes, too.
    if (what !== 'an empty list of servers') expect(removed.text, what).toBe(text);
    else expect(JSON.parse(removed.text)).toEqual({});
  });

  test('an empty list that stands elsewhere, or has a comment in it, is somebody’s own', () => {
    for (const text of ['{"a": 1, "mcpServers": {}}', COMMENTED['only a comment inside'] ?? '']) {
      expect(removeServer(addServer(text, PLACE, ENTRY).text, PLACE).text).toBe(text);
    }
  });

  test('where it never was, nothing changes', () => {
    for (const text of ['', '{}', FILES['another server'] ?? '']) {
      expect(removeServer(text, PLACE)).toEqual({ text, change: 'none' });
    }
  });
});
