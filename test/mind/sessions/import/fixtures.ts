/** Transcripts in the documented shapes of the clients, written for these tests. */
import { PIXEL } from '../../../support/transcripts.ts';

/** An id as long as some services make them. */
const LONG_ID = `call_${'Zx|9'.repeat(112)}`;
export const SIGNATURE = 'c2lnbmF0dXJlLW9mLWEtdGhvdWdodA==';

const BASE = { cwd: '/home/ada/project', sessionId: 'c0ffee00-0000-4000-8000-000000000001', version: '2.1.38' };

let count = 0;
const uuid = (): string => `00000000-0000-4000-8000-${String(++count).padStart(12, '0')}`;

function chained(records: readonly Readonly<Record<string, unknown>>[]): Record<string, unknown>[] {
  let parent: string | null = null;
  return records.map((record) => {
    const own = uuid();
    const linked = { parentUuid: parent, isSidechain: false, ...BASE, uuid: own, ...record };
    if (record['isSidechain'] !== true) parent = own;
    return linked;
  });
}

const user = (content: unknown, more: object = {}) => ({ type: 'user', message: { role: 'user', content }, ...more });
const assistant = (block: unknown, more: object = {}) => ({
  type: 'assistant',
  message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-opus-4-6', content: [block] },
  ...more,
});

/** A session of Claude Code that was killed while its second tool ran. */
export const CLAUDE_RECORDS: readonly Record<string, unknown>[] = [
  { type: 'summary', summary: 'Parser for dates', leafUuid: 'x' },
  { type: 'file-history-snapshot', messageId: 'm', snapshot: {} },
  ...chained([
    user('<command-name>/model</command-name>', { isMeta: true }),
    user('Make the date parser accept ISO weeks, and add tests.'),
    assistant({ type: 'thinking', thinking: 'Look at the parser first.', signature: SIGNATURE }),
    assistant({ type: 'text', text: 'I will read the parser.' }),
    assistant({
      type: 'tool_use',
      id: 'toolu_01R1b3BtKU87UuQpwY4Boxri',
      name: 'Read',
      input: { file_path: 'dates.ts' },
    }),
    user(
      [{ type: 'tool_result', tool_use_id: 'toolu_01R1b3BtKU87UuQpwY4Boxri', content: 'export function parse() {}' }],
      {
        toolUseResult: { file: {} },
      },
    ),
    assistant({ type: 'tool_use', id: LONG_ID, name: 'mcp__browser__screenshot', input: {} }),
    user([
      {
        type: 'tool_result',
        tool_use_id: LONG_ID,
        is_error: true,
        content: [
          { type: 'text', text: 'half a page' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } },
        ],
      },
    ]),
    assistant({ type: 'text', text: 'What the subagent says to itself.' }, { isSidechain: true }),
    { type: 'system', subtype: 'turn_duration', content: '' },
    assistant({ type: 'thinking', thinking: 'Without a signature.', signature: '' }),
    assistant({ type: 'tool_use', id: 'toolu_02', name: 'Bash', input: { command: 'npm test' } }),
  ]),
];

const at = { timestamp: '2026-11-20T10:00:00.000Z' };
const item = (payload: object) => ({ ...at, type: 'response_item', payload });

/** A session of Codex whose patch was never answered. */
export const CODEX_RECORDS: readonly Record<string, unknown>[] = [
  {
    ...at,
    type: 'session_meta',
    payload: { id: 's', cwd: '/home/ada/project', cli_version: '0.98.0', originator: 'codex_cli' },
  },
  item({ type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'You may write files.' }] }),
  item({
    type: 'message',
    role: 'user',
    content: [{ type: 'input_text', text: '<environment_context>\n</environment_context>' }],
  }),
  { ...at, type: 'turn_context', payload: { cwd: '/home/ada/project', model: 'gpt-5.3-codex' } },
  { ...at, type: 'event_msg', payload: { type: 'user_message', message: 'Rename the flag.' } },
  item({
    type: 'message',
    role: 'user',
    content: [
      { type: 'input_text', text: 'Rename the flag --fast to --quick.' },
      { type: 'input_image', image_url: `data:image/png;base64,${PIXEL}` },
    ],
  }),
  item({ type: 'reasoning', summary: [{ type: 'summary_text', text: 'Search' }], encrypted_content: 'Z0FBQUFB' }),
  item({ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Searching.' }] }),
  item({ type: 'function_call', name: 'shell_command', arguments: '{"command":"rg fast"}', call_id: 'call_1' }),
  item({ type: 'function_call_output', call_id: 'call_1', output: 'cli.ts:3: --fast' }),
  item({ type: 'local_shell_call', call_id: 'call_2', status: 'completed', action: { type: 'exec', command: ['ls'] } }),
  item({ type: 'function_call_output', call_id: 'call_2', output: [{ type: 'input_text', text: 'cli.ts' }] }),
  item({ type: 'web_search_call', status: 'completed', action: { type: 'search', query: 'x' } }),
  item({ type: 'custom_tool_call', name: 'apply_patch', input: '*** Begin Patch', call_id: LONG_ID }),
];

export function jsonl(records: readonly unknown[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join('');
}

/** What Claude Code adds when it goes on: the missing result, and a last word. */
export const CLAUDE_TAIL: readonly Record<string, unknown>[] = [
  user([{ type: 'tool_result', tool_use_id: 'toolu_02', content: '12 passed' }], { uuid: 'u1', parentUuid: 'u0' }),
  assistant({ type: 'text', text: 'Done: ISO weeks are accepted.' }, { uuid: 'u2', parentUuid: 'u1' }),
];
