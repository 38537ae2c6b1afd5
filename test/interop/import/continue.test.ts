/** Work that one client began by itself, and another one goes on with in the seed. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectSlug } from '../../../src/cli/transcripts.ts';
import { seed, seedJson } from '../../cli/seed.ts';
import { CLAUDE_RECORDS, CODEX_RECORDS, jsonl } from '../../mind/sessions/import/fixtures.ts';
import { scratch } from '../../support/scratch.ts';
import { connect, KINDS } from '../clients.ts';
import { startDaemon } from '../daemon.ts';

interface Imported {
  readonly session_id: string;
  readonly file: string;
  readonly outcome: string;
  readonly hash: string;
  readonly length: number;
  readonly receipt: number;
}

const CASES = [
  { from: 'claude-code', goal: /ISO weeks/, doubt: 'Bash' },
  { from: 'codex', goal: /--quick/, doubt: 'apply_patch' },
] as const;

describe('an imported session', () => {
  it.each(CASES)('[LOCK-HANDOFF-2] of $from goes on in another client', async ({ from, goal, doubt }) => {
    using dir = scratch();
    await using daemon = await startDaemon(dir.at('home'));
    // As the clients lay their files out.
    const project = dir.at('claude', 'projects', projectSlug(dir.folder));
    const elsewhere = dir.at('claude', 'projects', '-elsewhere');
    const day = dir.at('codex', 'sessions', '2026', '11', '20');
    for (const folder of [project, elsewhere, day]) mkdirSync(folder, { recursive: true });
    const newest = {
      'claude-code': join(project, 'b.jsonl'),
      codex: join(day, 'rollout-2026-11-20T10-00-00-b.jsonl'),
    }[from];
    const old = new Date('2026-11-01T00:00:00Z');
    for (const file of [join(project, 'a.jsonl'), join(day, 'rollout-2026-11-20T09-00-00-a.jsonl')]) {
      writeFileSync(file, '');
      utimesSync(file, old, old);
    }
    for (const file of [join(elsewhere, 'c.jsonl'), join(project, 'agent-1.jsonl'), join(day, 'notes.jsonl')]) {
      writeFileSync(file, 'not the one that is meant\n');
    }
    writeFileSync(newest, jsonl(from === 'codex' ? CODEX_RECORDS : CLAUDE_RECORDS));

    const env = { CLAUDE_CONFIG_DIR: dir.at('claude'), CODEX_HOME: dir.at('codex'), HOME: dir.folder };
    const args = ['session', 'import', '--from', from, '--latest', '--home', daemon.home];
    const { answer: imported } = await seedJson<Imported>(args, { env, cwd: dir.folder });
    expect(imported).toMatchObject({ file: newest, outcome: 'new', holder: 'owner', length: 9, in_doubt: 1 });

    await using client = await connect(daemon, KINDS[from === 'codex' ? 2 : 0], 'seed mcp', 'cursor');
    const start = await client.call('seed_start');
    expect(start.text).toContain(imported.session_id);
    const accepted = await client.call('handoff_accept', { latest: true });
    expect(accepted).toMatchObject({
      isError: false,
      structured: { session_id: imported.session_id, epoch: 2, from: 'owner', hash: imported.hash },
    });
    expect(accepted.text).toMatch(goal);
    expect(accepted.structured['open_calls']).toMatchObject([{ name: doubt, state: 'in_doubt' }]);
    const said = await client.call('session_get', { from: 0, limit: 3, detail: 'full' });
    expect(said).toMatchObject({ isError: false, structured: { messages: 9, origin: `imported:${from}` } });
    const noted = await client.call('session_checkpoint', { next: 'look whether it was carried out' });
    expect(noted.isError).toBe(false);

    // The first client's file is not taken any further: the session is another one's now.
    writeFileSync(newest, jsonl([...(from === 'codex' ? CODEX_RECORDS : CLAUDE_RECORDS), ...LATE[from]]));
    const late = await seed([...args, '--json'], { env, cwd: dir.folder });
    expect(late.code).toBe(1);
    expect(JSON.parse(late.stdout)).toMatchObject({ error: { code: 'superseded' } });
  });

  it('[LOCK-HANDOFF-2] is exported, and comes into another seed with the same running hash', async () => {
    using dir = scratch();
    writeFileSync(dir.at('a.jsonl'), jsonl(CLAUDE_RECORDS));
    const homes = [dir.at('one'), dir.at('two')] as const;
    for (const home of homes) await seed(['init', '--home', home], { env: { SEED_PORT: '0' } });
    // Without a daemon, too.
    const first = await seedJson<Imported>([
      'session',
      'import',
      '--from',
      'claude-code',
      dir.at('a.jsonl'),
      '--home',
      homes[0],
    ]);
    const out = dir.at('session.jsonl');
    const { answer } = await seedJson(['session', 'export', first.answer.session_id, '--out', out, '--home', homes[0]]);
    expect(answer).toMatchObject({ messages: 9, hash: first.answer.hash, out });
    const there = await seedJson<Imported>(['session', 'import', '--from', 'seed', out, '--home', homes[1]]);
    expect(there.answer).toMatchObject({ outcome: 'new', hash: first.answer.hash, length: 9, in_doubt: 1 });
    const again = await seed(['session', 'import', '--from', 'seed', out, '--home', homes[1]]);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toMatch(/^Nothing new: session [0-9a-f]{32} has all 9 messages already\.\n/);
    const twice = await seed(['session', 'export', first.answer.session_id, '--out', out, '--home', homes[0]]);
    expect(twice).toMatchObject({ code: 1, stdout: '' });
    expect(twice.stderr).toContain('is there already');
    // The owner ends it by the first digits of its name; it can be read, and nobody goes on with it.
    const { session_id: id } = first.answer;
    const closed = await seed(['session', 'close', id.slice(0, 8), '--home', homes[0]]);
    expect(closed.stdout).toMatch(new RegExp(`^Closed session ${id}; its transcript stays. Receipt \\d+\\.\n$`));
    expect((await seed(['session', 'list', '--home', homes[0]])).stdout).toMatch(new RegExp(`^${id} .* closed `, 'm'));
    expect((await seed(['session', 'close', id, '--home', homes[0]])).stderr).toContain('closed');
  });
});

const LATE = {
  'claude-code': [{ type: 'user', message: { role: 'user', content: 'Too late.' } }],
  codex: [{ type: 'response_item', payload: { type: 'message', role: 'user', content: 'Too late.' } }],
} as const;
