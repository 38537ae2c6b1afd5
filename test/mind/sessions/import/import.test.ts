/** Sessions out of the transcripts that clients keep, and out of exported sessions. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Imported, ImportRequest } from '../../../../src/mind/sessions/import/import.ts';
import { importTranscript } from '../../../../src/mind/sessions/import/import.ts';
import { exportSession } from '../../../../src/mind/sessions/export.ts';
import { OWNER } from '../../../../src/substrate/actor.ts';
import { insertGrant } from '../../../../src/substrate/identity/grants.ts';
import { beginSession, pickHeld } from '../../../../src/substrate/sessions/work.ts';
import { importLosses, OPEN_IMPORTS_MAX } from '../../../../src/substrate/sessions/imports.ts';
import { findTool, listMessages, listOpenTools } from '../../../../src/substrate/sessions/messages.ts';
import { LEASE_MS, leaseUntil, sessionOf } from '../../../../src/substrate/sessions/sessions.ts';
import type { Substrate } from '../../../../src/substrate/substrate.ts';
import type { Message } from '../../../../src/substrate/transcript.ts';
import { EMPTY_TRANSCRIPT, extendTranscript, messageHash } from '../../../../src/substrate/transcript.ts';
import { allReceipts, codeOf, openSeed } from '../../../support/home.ts';
import type { Scratch } from '../../../support/scratch.ts';
import { scratch } from '../../../support/scratch.ts';
import { PIXEL } from '../../../support/transcripts.ts';
import { CLAUDE_RECORDS, CLAUDE_TAIL, CODEX_RECORDS, jsonl, SIGNATURE } from './fixtures.ts';

const signal = new AbortController().signal;

async function load(
  substrate: Substrate,
  path: string,
  from: ImportRequest['from'] = 'claude-code',
  as: string | null = null,
): Promise<Imported> {
  return importTranscript(substrate, { actor: OWNER, path, from, as, signal, onProgress: () => {} });
}

function file(dir: Scratch, name: string, text: string): string {
  const path = dir.at(name);
  writeFileSync(path, text);
  return path;
}

async function transcript(substrate: Substrate, id: string): Promise<Message[]> {
  const stored = await substrate.read((db) => listMessages(db, id, { from: 0, limit: 10_000 }));
  return stored.map(({ body }) => JSON.parse(body) as Message);
}

/** The running hash, worked out anew from what is stored. */
async function runningHash(substrate: Substrate, id: string): Promise<string> {
  const stored = await substrate.read((db) => listMessages(db, id, { from: 0, limit: 10_000 }));
  const running = stored.reduce((hash, { body }) => extendTranscript(hash, messageHash(body)), EMPTY_TRANSCRIPT);
  return Buffer.from(running).toString('hex');
}

async function staged(substrate: Substrate): Promise<number> {
  const row = await substrate.read((db) =>
    db.get<{ n: number }>('SELECT count(*) AS n FROM substrate_staged_messages'),
  );
  return row?.n ?? -1;
}

describe('a transcript of Claude Code', () => {
  it('becomes a session with its calls, results, images and thoughts', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { session, ...done } = await load(seed.substrate, file(dir, 'a.jsonl', jsonl(CLAUDE_RECORDS)));
    expect(session).toMatchObject({ origin: 'imported:claude-code', holderName: 'owner', epoch: 1, status: 'open' });
    expect(session.checkpoint).toMatchObject({
      goal: 'Make the date parser accept ISO weeks, and add tests.',
      done: [],
      next: '',
    });
    const messages = await transcript(seed.substrate, session.id);
    expect(messages.map(({ role, parts }) => `${role}: ${parts.map(({ type }) => type).join(' ')}`)).toEqual([
      'user: text',
      'user: text',
      'assistant: opaque',
      'assistant: text',
      'assistant: tool_call',
      'tool: tool_result',
      'assistant: tool_call',
      'tool: tool_result',
      'assistant: tool_call',
    ]);
    expect(messages[2]?.parts).toEqual([
      {
        type: 'opaque',
        provider: 'anthropic',
        model: 'claude-opus-4-6',
        api: 'messages',
        data: JSON.stringify({ type: 'thinking', thinking: 'Look at the parser first.', signature: SIGNATURE }),
      },
    ]);
    const [long] = messages[6]?.parts ?? [];
    const [answer] = messages[7]?.parts ?? [];
    if (long?.type !== 'tool_call' || answer?.type !== 'tool_result') throw new Error('a call and its result');
    expect(long.id).toMatch(/^i_[A-Za-z0-9_-]{32}$/);
    expect(answer).toEqual({
      type: 'tool_result',
      call: long.id,
      content: [
        { type: 'text', text: 'half a page' },
        { type: 'image', media_type: 'image/png', data: PIXEL },
      ],
      status: 'error',
    });
    expect(done).toMatchObject({ outcome: 'new', messages: 9, calls: 3, inDoubt: 1, torn: false });
    expect(session.runningHash).toBe(await runningHash(seed.substrate, session.id));
    expect(done.leftOut.toSorted()).toEqual([
      '1 records of subagents, whose results stand in the transcript',
      '1 records of type file-history-snapshot',
      '1 records of type summary',
      '1 records of type system',
      '1 thoughts without a signature',
    ]);
    expect(await staged(seed.substrate)).toBe(0);
  });

  it('leaves one receipt with its counts, and a call without a result in doubt', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const before = (await seed.substrate.log()).size;
    const { session, receipt } = await load(seed.substrate, file(dir, 'a.jsonl', jsonl(CLAUDE_RECORDS)));
    const receipts = (await allReceipts(seed.substrate)).slice(before);
    expect(receipts).toMatchObject([
      {
        seq: receipt,
        action: 'session.import',
        outcome: 'ok',
        subject: { type: 'session', id: session.id },
        detail: {
          from: 'claude-code',
          messages: 9,
          calls: 3,
          in_doubt: 1,
          length: 9,
          left_out: 5,
          hash: session.runningHash,
        },
      },
    ]);
    const losses = await seed.substrate.read((db) => importLosses(db, session.id));
    expect(losses).toEqual([
      'Not imported from claude-code: 1 records of subagents, whose results stand in the transcript.',
      'Not imported from claude-code: 1 thoughts without a signature.',
    ]);
    const open = await seed.substrate.read((db) => listOpenTools(db, session.id, 10));
    expect(open).toMatchObject([{ call: 'toolu_02', name: 'Bash', state: 'in_doubt' }]);
    const done = await seed.substrate.read((db) => findTool(db, session.id, 'toolu_01R1b3BtKU87UuQpwY4Boxri'));
    expect(done?.state).toBe('done');
  });

  it('is known again, and what was appended since is added behind it', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const path = file(dir, 'a.jsonl', jsonl(CLAUDE_RECORDS));
    const first = await load(seed.substrate, path);
    const size = (await seed.substrate.log()).size;
    const again = await load(seed.substrate, path);
    expect(again).toMatchObject({
      outcome: 'unchanged',
      messages: 0,
      receipt: null,
      session: { id: first.session.id },
    });
    // The same bytes under another name are the same transcript.
    const copy = file(dir, 'copy.jsonl', readFileSync(path, 'utf8'));
    expect(await load(seed.substrate, copy)).toMatchObject({ outcome: 'unchanged', session: { id: first.session.id } });
    expect((await seed.substrate.log()).size).toBe(size);

    appendFileSync(path, jsonl(CLAUDE_TAIL));
    const more = await load(seed.substrate, path);
    expect(more).toMatchObject({
      outcome: 'added',
      messages: 2,
      inDoubt: 0,
      session: { id: first.session.id, length: 11 },
    });
    expect(more.session.runningHash).toBe(await runningHash(seed.substrate, first.session.id));

    // One that was altered in what was read before is another one.
    const altered = file(dir, 'b.jsonl', readFileSync(path, 'utf8').replace('ISO weeks, and', 'ISO weeks; and'));
    const other = await load(seed.substrate, altered);
    expect(other.outcome).toBe('new');
    expect(other.session.id).not.toBe(first.session.id);
  });

  it('comes in the same in one piece and in two', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const text = jsonl([...CLAUDE_RECORDS, ...CLAUDE_TAIL]);
    const { session: whole, leftOut } = await load(seed.substrate, file(dir, 'whole.jsonl', text));
    for (const cut of [500, 2_000, text.length - 300]) {
      const path = file(dir, `${cut}.jsonl`, text.slice(0, cut));
      // Told apart from the others by its first line alone.
      const marked = text.replace('Parser for dates', `Parser for dates ${cut}`);
      writeFileSync(path, marked.slice(0, cut));
      await load(seed.substrate, path).catch(() => {});
      writeFileSync(path, marked);
      const { session, leftOut: left } = await load(seed.substrate, path);
      expect([cut, session.runningHash, left]).toEqual([cut, whole.runningHash, leftOut]);
    }
  });

  it('may end in half a line, which is read when it is whole', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const text = jsonl(CLAUDE_RECORDS);
    const path = file(dir, 'a.jsonl', text.slice(0, -40));
    const torn = await load(seed.substrate, path);
    expect(torn).toMatchObject({ outcome: 'new', torn: true, messages: 8, inDoubt: 0 });
    expect(await load(seed.substrate, path)).toMatchObject({ outcome: 'unchanged', torn: true });
    writeFileSync(path, text);
    expect(await load(seed.substrate, path)).toMatchObject({ outcome: 'added', torn: false, messages: 1, inDoubt: 1 });
    // A whole record without its newline counts.
    const bare = file(dir, 'b.jsonl', `\n${text.slice(0, -1)}`);
    expect(await load(seed.substrate, bare)).toMatchObject({ outcome: 'new', torn: false, messages: 9 });
  });

  it('is read past what nobody knows, and says how much that was', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const odd = [
      'no JSON',
      '[1,2]',
      '"text"',
      'null',
      '{"type":"telepathy","x":1}',
      '{"type":"user"}',
      '{"type":"user","message":{"role":"user","content":[{"type":"hologram"},{"no":"type"},7]}}',
      '{"type":"user","message":{"role":"user","content":"half \\ud83d a character"}}',
      '{"type":"user","message":{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/tiff","data":"AAAA"}},{"type":"image","source":{"type":"url","url":"https://example.org/x.png"}},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"%%%"}}]}}',
      `{"type":"assistant","message":{"role":"assistant","model":"m","content":[{"type":"tool_use","id":"x y","name":"a tool of \\u00e9","input":[1]},{"type":"server_tool_use"}]}}`,
      `{"type":"user","message":{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"${'A'.repeat(4 * 1024 * 1024)}"}}]}}`,
      `{"type":"user","message":{"role":"user","content":"${'long '.repeat(100_000)}"}}`,
    ];
    const { session, leftOut } = await load(seed.substrate, file(dir, 'a.jsonl', `${odd.join('\n')}\n`));
    expect(leftOut.toSorted()).toEqual([
      '1 blocks of type hologram',
      '1 blocks of type server_tool_use',
      '1 images of an unknown type',
      '1 images that are damaged',
      '1 images that are only named by an address',
      '1 images that are too large',
      '1 lines that cannot be read',
      '1 messages without a known form',
      '1 records of type telepathy',
      '1 texts that are too long, which were cut',
      '1 texts with half a character, which was replaced',
      '1 tool names that were written in another way',
      '2 blocks without a known form',
      '3 records without a known form',
    ]);
    const messages = await transcript(seed.substrate, session.id);
    expect(messages).toHaveLength(3);
    expect(messages[1]?.parts).toMatchObject([{ type: 'tool_call', arguments: '{"input":[1]}' }]);
  });

  it('says where the client went back', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const first = CLAUDE_RECORDS[3] as { uuid: string };
    const back = { type: 'user', uuid: 'b', parentUuid: first.uuid, message: { role: 'user', content: 'Rather not.' } };
    const { leftOut } = await load(seed.substrate, file(dir, 'a.jsonl', jsonl([...CLAUDE_RECORDS, back])));
    expect(leftOut).toContain('1 times that the client went back; both ways are in the transcript');
  });
});

describe('a transcript of Codex', () => {
  it('becomes a session with its calls of every kind', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { session, ...done } = await load(seed.substrate, file(dir, 'r.jsonl', jsonl(CODEX_RECORDS)), 'codex');
    expect(session).toMatchObject({
      origin: 'imported:codex',
      checkpoint: { goal: 'Rename the flag --fast to --quick.' },
    });
    const messages = await transcript(seed.substrate, session.id);
    const calls = messages.flatMap(({ parts }) => parts.filter((part) => part.type === 'tool_call'));
    expect(calls.map(({ name, arguments: text }) => [name, text])).toEqual([
      ['shell_command', '{"command":"rg fast"}'],
      ['local_shell', '{"type":"exec","command":["ls"]}'],
      ['apply_patch', '{"input":"*** Begin Patch"}'],
    ]);
    expect(messages[1]?.parts.map(({ type }) => type)).toEqual(['text', 'image']);
    expect(messages[2]?.parts).toMatchObject([
      { type: 'opaque', provider: 'openai', model: 'gpt-5.3-codex', api: 'responses' },
    ]);
    expect(done).toMatchObject({ messages: 9, calls: 3, inDoubt: 1 });
    expect(done.leftOut.toSorted()).toEqual([
      '1 items of type web_search_call',
      '1 messages by which the client instructs its own model',
      '1 records of type event_msg',
      '1 records of type session_meta',
      '1 records of type turn_context',
    ]);
  });

  it('may be of the older form, with bare items', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const bare = CODEX_RECORDS.map((record) => (record['type'] === 'response_item' ? record['payload'] : record));
    const { messages, calls } = await load(seed.substrate, file(dir, 'r.jsonl', jsonl(bare)), 'codex');
    expect({ messages, calls }).toEqual({ messages: 9, calls: 3 });
  });

  it('keeps the model for what is appended later', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const path = file(dir, 'r.jsonl', jsonl(CODEX_RECORDS));
    await load(seed.substrate, path, 'codex');
    appendFileSync(path, jsonl([{ type: 'response_item', payload: { type: 'reasoning', encrypted_content: 'x' } }]));
    const { session } = await load(seed.substrate, path, 'codex');
    expect((await transcript(seed.substrate, session.id)).at(-1)?.parts).toMatchObject([{ model: 'gpt-5.3-codex' }]);
  });
});

const GRANT = {
  id: 'a'.repeat(32),
  name: 'claude-code',
  door: 'agent',
  kind: 'agent',
  scopes: ['seed.status'],
  surface: 'daily',
  parent: null,
  publicKey: null,
  createdAt: 0,
  expiresAt: null,
} as const;

describe('who holds an import', () => {
  it('[LOCK-HANDOFF-3] is the owner, or the agent that is named, with no more than its own scopes', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate, sources } = seed;
    const path = file(dir, 'a.jsonl', jsonl(CLAUDE_RECORDS));
    expect(await codeOf(load(substrate, path, 'claude-code', 'claude-code'))).toBe('not_found');
    await substrate.operate({ action: 'agent.welcome', actor: OWNER }, (op) => insertGrant(op, GRANT));
    const { session } = await load(substrate, path, 'claude-code', 'claude-code');
    expect(session).toMatchObject({ holder: GRANT.id, holderName: 'claude-code', scopes: ['seed.status'] });
    // Its client had it read, so it lives; of what the owner has read that is not known.
    expect(await substrate.read((db) => leaseUntil(db, session.id))).toBeGreaterThan(sources.now());
    const other = await load(substrate, file(dir, 'r.jsonl', jsonl(CODEX_RECORDS)), 'codex');
    expect(await substrate.read((db) => leaseUntil(db, other.session.id))).toBeLessThanOrEqual(sources.now());
  });

  it('[LOCK-HANDOFF-1] a file adds nothing to a session that somebody else has taken on, or that is closed', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const cases = [
      ['UPDATE substrate_sessions SET epoch = epoch + 1 WHERE id = ?', 'superseded'],
      ["UPDATE substrate_sessions SET status = 'closed' WHERE id = ?", 'session_closed'],
      ['UPDATE substrate_sessions SET length = length + 1 WHERE id = ?', 'conflict'],
      ["UPDATE substrate_sessions SET step_call = 'c' WHERE id = ?", 'conflict'],
    ] as const;
    for (const [index, [sql, code]] of cases.entries()) {
      const marked = { type: 'summary', summary: `mark ${index}` };
      const path = file(dir, `${index}.jsonl`, jsonl([marked, ...CLAUDE_RECORDS]));
      const { session } = await load(substrate, path);
      await substrate.operate({ action: 'test.move', actor: OWNER }, (op) => op.run(sql, session.id));
      appendFileSync(path, jsonl(CLAUDE_TAIL));
      const { size } = await substrate.log();
      expect(await codeOf(load(substrate, path))).toBe(code);
      expect((await substrate.log()).size).toBe(size);
      expect(await staged(substrate)).toBe(0);
    }
  });
});

describe('an agent whose client has every conversation taken over', () => {
  const agent = { id: 'claude-code', kind: 'agent', grant: GRANT.id, scopes: new Set<string>() } as const;

  async function conversations(seed: { substrate: Substrate }, dir: Scratch, count: number): Promise<string[]> {
    await seed.substrate.operate({ action: 'agent.welcome', actor: OWNER }, (op) => insertGrant(op, GRANT));
    const ids: string[] = [];
    for (let index = 0; index < count; index++) {
      const path = file(dir, `${index}.jsonl`, jsonl([{ type: 'summary', summary: `${index}` }, ...CLAUDE_RECORDS]));
      ids.push((await load(seed.substrate, path, 'claude-code', 'claude-code')).session.id);
    }
    return ids;
  }

  const age = (substrate: Substrate, id: string, ms: number) =>
    substrate.operate({ action: 'test.age', actor: OWNER }, (op) =>
      op.run('UPDATE substrate_sessions SET changed_at = changed_at - ? WHERE id = ?', ms, id),
    );

  it('works in the newest, unless another one goes on beside it, or it opened one itself', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { substrate } = seed;
    const [first = '', second = ''] = await conversations(seed, dir, 2);
    const picked = () => substrate.read((db) => pickHeld(db, agent, undefined));
    expect(await codeOf(picked())).toBe('invalid_input');
    await age(substrate, first, 2 * LEASE_MS);
    expect(await picked()).toBe(second);
    const opening = { checkpoint: {}, budgetMicroUsd: null, deadline: null };
    const { value: own } = await beginSession(substrate, agent, opening);
    await age(substrate, own.id, 4 * LEASE_MS);
    expect(await picked()).toBe(own.id);
    // What it has taken over is its own work, wherever it came from.
    await substrate.operate({ action: 'test.move', actor: OWNER }, (op) =>
      op.run('UPDATE substrate_sessions SET epoch = 2 WHERE id = ?', first),
    );
    expect(await codeOf(picked())).toBe('invalid_input');
  });

  it('keeps the newest of them open, and the others to be read', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const ids = await conversations(seed, dir, OPEN_IMPORTS_MAX + 2);
    const sessions = await seed.substrate.read((db) => Promise.all(ids.map((id) => sessionOf(db, id))));
    const open = sessions.filter(({ status }) => status === 'open').map(({ id }) => id);
    expect(open).toHaveLength(OPEN_IMPORTS_MAX);
    expect(open).toContain(ids.at(-1));
    expect(await transcript(seed.substrate, ids[0] ?? '')).toHaveLength(9);
  });
});

describe('files that are no transcripts', () => {
  it('are refused, whatever they are', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const real = file(dir, 'real.jsonl', jsonl(CLAUDE_RECORDS));
    symlinkSync(real, dir.at('link.jsonl'));
    mkdirSync(dir.at('folder.jsonl'));
    expect(spawnSync('mkfifo', [dir.at('pipe.jsonl')]).status).toBe(0);
    const codes: Record<string, string> = {};
    for (const path of [dir.at('link.jsonl'), dir.at('folder.jsonl'), dir.at('pipe.jsonl'), '/dev/zero', '/dev/null']) {
      codes[path.split('/').at(-1) ?? ''] = await codeOf(load(seed.substrate, path));
    }
    expect(codes).toEqual({
      'link.jsonl': 'invalid_input',
      'folder.jsonl': 'invalid_input',
      'pipe.jsonl': 'invalid_input',
      zero: 'invalid_input',
      null: 'invalid_input',
    });
    expect(await codeOf(load(seed.substrate, dir.at('missing.jsonl')))).toBe('not_found');
    expect(await codeOf(load(seed.substrate, file(dir, 'empty.jsonl', '')))).toBe('invalid_input');
    expect(await codeOf(load(seed.substrate, real, 'codex'))).toBe('invalid_input');
    // The control: the file that the link leads to is fine.
    expect((await load(seed.substrate, real)).outcome).toBe('new');
  });
});

describe('large and interrupted imports', () => {
  it('takes lines of any length, wherever they are cut in reading', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const said = Array.from({ length: 60 }, (_, index) => `${index} ${'é👩‍👧 '.repeat(3_000 + index * 7)}`);
    const path = file(
      dir,
      'a.jsonl',
      jsonl(said.map((content) => ({ type: 'user', message: { role: 'user', content } }))),
    );
    // Longer than any line may be: skipped, and what follows it is read.
    appendFileSync(path, `{"type":"user","message":{"content":"${'x'.repeat(33 * 1024 * 1024)}"}}\n`);
    appendFileSync(path, jsonl([{ type: 'user', message: { role: 'user', content: 'the last' } }]));
    const { session, leftOut } = await load(seed.substrate, path);
    const messages = await transcript(seed.substrate, session.id);
    const texts = messages.map(({ parts }) => parts.map((part) => (part.type === 'text' ? part.text : '')).join(''));
    expect(texts).toEqual([...said, 'the last']);
    expect(leftOut).toEqual(['1 lines that are too long']);
  });

  it('forgets what one that was cut off has left', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    await seed.substrate.maintain(async (tx) => {
      for (let index = 0; index < 1_200; index++) {
        await tx.run(
          'INSERT INTO substrate_staged_messages VALUES (?, ?, ?, ?)',
          'dead',
          index,
          '{}',
          new Uint8Array(32),
        );
      }
    });
    expect(await staged(seed.substrate)).toBe(1_200);
    const { messages } = await load(seed.substrate, file(dir, 'a.jsonl', jsonl(CLAUDE_RECORDS)));
    expect([messages, await staged(seed.substrate)]).toEqual([9, 0]);
  });

  it('leaves nothing but what was before when it is stopped', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const path = file(dir, 'a.jsonl', jsonl(CLAUDE_RECORDS));
    const stop = new AbortController();
    stop.abort();
    const { size } = await seed.substrate.log();
    const stopped = importTranscript(seed.substrate, {
      actor: OWNER,
      path,
      from: 'claude-code',
      as: null,
      signal: stop.signal,
      onProgress: () => {},
    });
    expect(await codeOf(stopped)).toBe('interrupted');
    expect([(await seed.substrate.log()).size, await staged(seed.substrate)]).toEqual([size, 0]);
  });

  it('becomes one session where the same file is imported several times at once', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const path = file(dir, 'a.jsonl', jsonl(CLAUDE_RECORDS));
    const all = await Promise.all([load(seed.substrate, path), load(seed.substrate, path), load(seed.substrate, path)]);
    expect(all.map(({ outcome }) => outcome).toSorted()).toEqual(['new', 'unchanged', 'unchanged']);
    expect(new Set(all.map(({ session }) => session.id)).size).toBe(1);
  });
});

describe('an exported session', () => {
  async function exported(
    seed: { substrate: Substrate },
    dir: Scratch,
  ): Promise<{ path: string; session: Imported['session'] }> {
    const { session } = await load(seed.substrate, file(dir, 'a.jsonl', jsonl(CLAUDE_RECORDS)));
    const path = dir.at('session.jsonl');
    await exportSession(seed.substrate, session, { out: path, signal, onProgress: () => {} });
    return { path, session };
  }

  it('[LOCK-HANDOFF-2] comes back with the same messages and running hash', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { path, session } = await exported(seed, dir);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const back = await load(seed.substrate, path, 'seed');
    expect(back).toMatchObject({ outcome: 'new', messages: 9, inDoubt: 1, leftOut: [] });
    expect(back.session).toMatchObject({
      origin: 'imported:seed',
      runningHash: session.runningHash,
      checkpoint: session.checkpoint,
    });
    expect(back.session.id).not.toBe(session.id);
    expect(await transcript(seed.substrate, back.session.id)).toEqual(await transcript(seed.substrate, session.id));
    expect(await load(seed.substrate, path, 'seed')).toMatchObject({
      outcome: 'unchanged',
      session: { id: back.session.id },
    });
  });

  it('[LOCK-HANDOFF-2] is refused whole where a byte of it was altered', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { path } = await exported(seed, dir);
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
    const [header = '', first = '', second = '', ...rest] = lines;
    const spaced = first.replace('{', '{ ');
    const wrong: Record<string, readonly string[]> = {
      'a word': [header, first.replace('model', 'modem'), second, ...rest],
      order: [header, second, first, ...rest],
      'a message less': [header, first, second, ...rest.slice(0, -1)],
      'a message more': [...lines, first],
      'a space': [header, spaced, second, ...rest],
      'no header': lines.slice(1),
      'the hash': [header.replace(/"hash":"./, '"hash":"g'), ...lines.slice(1)],
      'an empty line': [header, '', ...lines.slice(1)],
    };
    const codes = Object.fromEntries(
      await Promise.all(
        Object.entries(wrong).map(async ([what, text]) => {
          const altered = file(dir, `${what}.jsonl`, `${text.join('\n')}\n`);
          return [what, await codeOf(load(seed.substrate, altered, 'seed'))] as const;
        }),
      ),
    );
    expect(codes).toEqual(Object.fromEntries(Object.keys(wrong).map((what) => [what, 'conflict'])));
    const cut = file(dir, 'cut.jsonl', readFileSync(path, 'utf8').slice(0, -20));
    expect(await codeOf(load(seed.substrate, cut, 'seed'))).toBe('conflict');
    // The control: unaltered it is taken.
    expect((await load(seed.substrate, path, 'seed')).outcome).toBe('new');
  });

  it('is not written over a file that is there', async () => {
    using dir = scratch();
    await using seed = await openSeed(dir);
    const { path, session } = await exported(seed, dir);
    const text = readFileSync(path, 'utf8');
    expect(await codeOf(exportSession(seed.substrate, session, { out: path, signal, onProgress: () => {} }))).toBe(
      'conflict',
    );
    expect(readFileSync(path, 'utf8')).toBe(text);
  });
});
