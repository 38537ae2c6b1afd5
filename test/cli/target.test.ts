/** Credentials, targets and the first run at the command line: where a secret comes from, and what a person reads. */
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { ErrorAnswer } from './seed.ts';
import { hasPty, initHome, seed, seedAtTerminal, seedJson, startDaemon } from './seed.ts';

const CANARY = 'sk-canary-3f9a77c1e2d84b06';
const ORIGIN = 'https://api.example.com';
const NO_MODEL = 'No model yet: memory, messages, tasks, handoff and receipts work. To add one: `seed target add`';

let room: Scratch;
let home: string;

beforeEach(() => {
  room = scratch();
  home = room.at('home');
});

afterEach(() => room[Symbol.dispose]());

/** Everything in the home but the credentials themselves. */
function kept(): string {
  const names = readdirSync(home, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => !name.startsWith('credentials') && statSync(room.at('home', name)).isFile());
  return files.map((name) => readFileSync(room.at('home', name), 'latin1')).join('\n');
}

interface Ollama extends AsyncDisposable {
  readonly url: string;
  readonly asked: readonly string[];
}

/** An Ollama with one model, which answers when it is asked something. */
async function startOllama(): Promise<Ollama> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (request.url === '/api/tags') {
      response.end(JSON.stringify({ models: [{ name: 'small:1b', details: { family: 'llama' } }] }));
      return;
    }
    const said = { model: 'small:1b', message: { role: 'assistant', content: 'ready' } };
    const end = { done: true, done_reason: 'stop', prompt_eval_count: 12, eval_count: 2 };
    response.end(`${JSON.stringify({ ...said, done: false })}\n${JSON.stringify({ ...said, ...end })}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describe('the first run', () => {
  test('with nothing there says what works, and how to add a model', async () => {
    const made = await seed(['init', '--home', home], { env: { SEED_PORT: '0', OLLAMA_HOST: '127.0.0.1:9' } });
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout.split('\n')).toContain(NO_MODEL);
    expect((await seed(['target', 'list', '--home', home])).stdout).toBe(`${NO_MODEL}\n`);
  });

  test('finds an Ollama on this machine and keys in the environment; --no-detect looks for nothing', async () => {
    await using ollama = await startOllama();
    const env = { SEED_PORT: '0', OLLAMA_HOST: ollama.url.replace('http://', ''), ANTHROPIC_API_KEY: CANARY };
    const quiet = await seedJson(['init', '--no-detect', '--home', room.at('quiet')], { env });
    expect(quiet.answer).toEqual({ home: room.at('quiet'), created: true, passphrase: 'none' });
    expect(ollama.asked).toEqual([]);
    const made = await seed(['init', '--home', home], { env });
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout).toContain('Found ANTHROPIC_API_KEY for anthropic.');
    expect(made.stdout).toContain('Found local-ollama on this machine, with small:1b.');
    expect(made.stdout).not.toContain(CANARY);
    expect(kept()).not.toContain(CANARY);
    expect(readFileSync(room.at('home', 'credentials', 'anthropic'), 'utf8')).not.toContain(CANARY);
    const tried = await seed(['target', 'test', 'local-ollama', '--home', home]);
    expect([tried.code, tried.stdout.split('.')[0]]).toEqual([0, 'local-ollama answers: small:1b']);
    expect((await seed(['halt', '--home', home])).code).toBe(0);
    const sent = ollama.asked.length;
    const shut = await seedJson<{ ok: boolean; code: string }>(['target', 'test', 'local-ollama', '--home', home]);
    expect(shut).toMatchObject({ code: 1, answer: { ok: false, code: 'halted' } });
    expect(ollama.asked).toHaveLength(sent);
    expect((await seed(['resume', '--home', home])).code).toBe(0);
    // The environment of whoever serves counts, which is this command's own here.
    const unset = await seed(['target', 'test', 'anthropic', '--home', home]);
    expect(unset.code).toBe(1);
    expect(unset.stdout).toContain('ANTHROPIC_API_KEY of the environment, which is not set where the seed runs');
  });

  test('of `seed up` says it too', async () => {
    await using daemon = await startDaemon(home);
    await daemon.line((line) => line.includes(NO_MODEL));
  });
});

describe('seed credential', () => {
  test('set reads the secret from standard input; it is in no output, and list does not show it', async () => {
    await initHome(home);
    const set = await seed(['credential', 'set', 'one', '--origin', ORIGIN, '--home', home], { input: `${CANARY}\n` });
    expect(set).toMatchObject({ code: 0, stderr: '' });
    expect(set.stdout).toContain(`for ${ORIGIN} and no other origin`);
    expect(JSON.parse(readFileSync(room.at('home', 'credentials', 'one'), 'utf8'))).toMatchObject({ secret: CANARY });
    const listed = await seedJson<{ credentials: object[] }>(['credential', 'list', '--home', home]);
    expect(listed.answer.credentials).toMatchObject([{ name: 'one', origin: ORIGIN, source: 'file', ready: true }]);
    expect(JSON.stringify([set, listed])).not.toContain(CANARY);
    expect(kept()).not.toContain(CANARY);
    expect((await seed(['credential', 'remove', 'one', '--home', home])).code).toBe(0);
    expect(readdirSync(room.at('home', 'credentials'))).toEqual([]);
  });

  test('takes no secret as an argument, no path as a name, and nothing from an empty input', async () => {
    await initHome(home);
    const set = (args: readonly string[], input: string) =>
      seedJson<ErrorAnswer>(['credential', 'set', ...args, '--home', home], { input });
    for (const [args, input] of [
      [['one', CANARY, '--origin', ORIGIN], CANARY],
      [['../keys/log.pem', '--origin', ORIGIN], CANARY],
      [['one', '--origin', ORIGIN], ''],
      [['one', '--origin', ORIGIN], `${CANARY}\nX-Other: 1\n`],
      [['one', '--origin', 'http://example.com'], CANARY],
      [['one'], CANARY],
    ] as const) {
      const { code, answer } = await set(args, input);
      expect([args, code, answer.error.code]).toEqual([args, 2, 'invalid_input']);
    }
    expect(readdirSync(room.at('home', 'credentials'))).toEqual([]);
    expect(kept()).not.toContain(CANARY);
  });

  test.runIf(hasPty)('set asks at a terminal, and shows nothing of what is typed', async () => {
    await initHome(home);
    const args = ['credential', 'set', 'one', '--origin', ORIGIN, '--home', home];
    const { code, shown } = await seedAtTerminal(args, [['Key for one (not shown): ', `${CANARY}\r`]]);
    expect([code, shown.includes(CANARY)]).toEqual([0, false]);
    expect(JSON.parse(readFileSync(room.at('home', 'credentials', 'one'), 'utf8'))).toMatchObject({ secret: CANARY });
  });
});

describe('seed target add', () => {
  test('keeps the key, puts the target into the policy, and says what each role asks', async () => {
    await initHome(home);
    const args = ['target', 'add', 'anthropic', '--no-test', '--home', home];
    const added = await seed(args, { input: `${CANARY}\n` });
    expect(added).toMatchObject({ code: 0, stderr: '' });
    expect(added.stdout).toContain('Kept the credential anthropic');
    expect(added.stdout).toContain('Roles that ask it: digestor, synthesizer, worker.');
    expect(added.stdout).not.toContain(CANARY);
    const list = await seed(['target', 'list', '--home', home]);
    expect(list.stdout).toContain('https://api.anthropic.com');
    const open = [
      '--provider',
      'nvidia',
      '--base-url',
      'https://models.example.com/v1',
      '--no-credential',
      '--no-test',
    ];
    const without = await seed(['target', 'add', 'own', ...open, '--home', home]);
    expect(without.stdout).toContain('added target own: nvidia at https://models.example.com/v1, no credential');
    const looked = await seed(['target', 'detect', '--home', home]);
    expect(looked.stdout).toContain('There is a policy already, and it is left as it is.');
    // Nothing to try: no role asks it.
    const untried = await seedJson<{ tested: object | null }>([
      'target',
      'add',
      'own',
      ...open.slice(0, -1),
      '--home',
      home,
    ]);
    expect(untried).toMatchObject({ code: 0, answer: { tested: null } });
    // A second time the key is there, and is not asked for.
    expect((await seed(args)).stdout).toContain('anthropic is as it was');
  });

  test('a key that is given is never passed over: for a model on this machine, or where there is one already', async () => {
    await initHome(home);
    const file = room.at('key.txt');
    writeFileSync(file, `${CANARY}\n`);
    const own = ['target', 'add', 'own', '--provider', 'nvidia', '--base-url', 'http://127.0.0.1:9/v1', '--no-test'];
    const without = await seed([...own, '--home', home]);
    expect(without.stdout).toContain('No key is kept for it, since it is on this machine.');
    const given = await seed([...own, '--home', home], { inputFile: file });
    expect(given.stdout).toContain('Kept the credential own, for http://127.0.0.1:9 and no other origin.');
    expect(given.stdout).toContain('credential own');
    const again = await seed([...own, '--home', home], { inputFile: file });
    expect(again.stdout).toContain('in place of the one before');
    // Once more without one: what it has it keeps, unless somebody says otherwise.
    const same = await seed([...own, '--home', home]);
    expect(same.stdout).toContain('It is called with the credential own as it was before.');
    expect(same.stdout).toContain('own is as it was');
    const moved = own.map((word) => word.replace('127.0.0.1:9', '127.0.0.1:10'));
    expect((await seed([...moved, '--home', home])).stdout).toContain('No key is kept for it');
    const taken = await seed([...own, '--no-credential', '--home', home]);
    expect(taken.stdout).toContain('no credential');
    const bound = ['target', 'add', 'anthropic', '--no-test', '--home', home];
    await seed(bound, { input: `${CANARY}\n` });
    expect((await seed(bound)).stdout).toContain('It is called with the credential anthropic as it was before.');
    const fromEnv = await seed([...bound, '--from-env', 'ANTHROPIC_API_KEY']);
    expect(fromEnv.stdout).toContain('Bound ANTHROPIC_API_KEY as the credential anthropic');
  });

  test('tries what it added, through the daemon where one serves', async () => {
    await using ollama = await startOllama();
    await using daemon = await startDaemon(home);
    const added = await seedJson<{ roles: string[]; tested: { ok: boolean; model: string } }>([
      'target',
      'add',
      'local-ollama',
      '--base-url',
      ollama.url,
      '--home',
      home,
    ]);
    expect(added).toMatchObject({ code: 0, answer: { tested: { ok: true, model: 'small:1b' } } });
    expect(ollama.asked.filter((url) => url === '/api/chat')).toHaveLength(1);
    daemon.kill('SIGTERM');
    expect((await daemon.ended).code).toBe(0);
  });

  test('without a terminal asks nothing, and says what is missing', async () => {
    await initHome(home);
    for (const args of [['add'], ['add', 'own'], ['add', 'anthropic']]) {
      const { code, answer } = await seedJson<ErrorAnswer>(['target', ...args, '--home', home]);
      expect([args, code, answer.error.code]).toEqual([args, 2, 'invalid_input']);
    }
    const { answer } = await seedJson<{ targets: object[] }>(['target', 'list', '--home', home]);
    expect(answer.targets).toEqual([]);
  });

  test.runIf(hasPty)('asks which one at a terminal, and for its key', async () => {
    await initHome(home);
    const stopped = await seedAtTerminal(['target', 'add', '--home', home], [['Which one: ', '\u0003']]);
    expect(stopped.code).toBe(1);
    expect(stopped.shown).toMatch(/\nseed: Stopped at the question/);
    const other = await seedAtTerminal(['target', 'add', '--home', home], [['Which one: ', 'openai\r']]);
    expect([other.code, other.shown]).toEqual([2, expect.stringContaining('There is no openai to choose.')]);
    const { code, shown } = await seedAtTerminal(
      ['target', 'add', '--no-test', '--home', home],
      [
        ['Which one: anthropic, gemini, nvidia, local-ollama? ', 'anthropic\r'],
        ['Key for anthropic (not shown): ', `${CANARY}\r`],
      ],
    );
    expect([code, shown.includes(CANARY)]).toEqual([0, false]);
    expect(shown).toContain('Roles that ask it: digestor, synthesizer, worker.');
  });
});
