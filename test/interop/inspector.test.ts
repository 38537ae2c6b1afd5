/**
 * The MCP Inspector's command line, in both eras, over HTTP and `seed mcp`. It takes 110 MB with
 * what it needs, too much for a development dependency: `npm run test:long` installs it for itself.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { TestContext } from 'vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startNode } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { TestDaemon } from './daemon.ts';
import { SEED_COMMAND, startDaemon } from './daemon.ts';

const isLong = process.env['SEED_TEST_LONG'] === '1';
const INSPECTOR = '@modelcontextprotocol/inspector';
const VERSION = '2.12.0';

let folder: Scratch;
let daemon: TestDaemon;
let key: string;
/** Why it is not there; null when it is. */
let missing: string | null = null;

const INSTALL_MS_MAX = 180_000;

/** Into the test's own folder; its install script has nothing to do there. */
async function install(): Promise<string | null> {
  const args = ['install', '--prefix', folder.folder, '--ignore-scripts', '--no-audit', '--no-fund', '--no-save'];
  return promisify(execFile)('npm', [...args, `${INSPECTOR}@${VERSION}`], { timeout: INSTALL_MS_MAX }).then(
    () => null,
    (error: Error) => `${INSPECTOR} could not be installed: ${error.message.slice(0, 300)}`,
  );
}

interface Ran {
  readonly code: number | null;
  readonly result: Readonly<Record<string, unknown>>;
  readonly errors: string;
}

async function inspect(context: TestContext, args: readonly string[]): Promise<Ran> {
  if (missing !== null) context.skip(missing);
  const launcher = path.join(folder.folder, 'node_modules', INSPECTOR, 'clients', 'launcher', 'build', 'index.js');
  await using inspector = startNode([launcher, '--cli', ...args, '--format', 'json']);
  const { code } = await inspector.ended;
  const answer = inspector.lines.find((line) => line.startsWith('{"result"'));
  const { result = {} } = JSON.parse(answer ?? '{}') as { result?: Ran['result'] };
  return { code, result, errors: inspector.errors() };
}

const ways = {
  HTTP: () => ['--server-url', daemon.url, '--transport', 'http', '--header', `Authorization: Bearer ${key}`],
  'seed mcp': () => [
    process.execPath,
    SEED_COMMAND,
    'mcp',
    '--as',
    'inspector',
    '--home',
    daemon.home,
    '--tools',
    'all',
  ],
} as const;

const CASES = (['HTTP', 'seed mcp'] as const).flatMap((way) =>
  (['modern', 'legacy'] as const).map((era) => ({ way, era })),
);

if (isLong) {
  describe('the Inspector’s command line', () => {
    beforeAll(async () => {
      folder = scratch();
      missing = await install();
      daemon = await startDaemon(folder.at('home'));
      ({ key } = await daemon.issueKey('inspector', ['seed.status', 'receipt.read', 'receipt.note']));
    });

    afterAll(async () => {
      await daemon?.[Symbol.asyncDispose]();
      folder?.[Symbol.dispose]();
    });

    describe.each(CASES)('$era over $way', ({ way, era }) => {
      const run = (context: TestContext, method: string, ...args: readonly string[]): Promise<Ran> =>
        inspect(context, [...ways[way](), '--protocol-era', era, '--method', method, ...args]);

      test('lists tools whose schemas are portable', async (context) => {
        const { code, result, errors } = await run(context, 'tools/list', '--strict');
        expect(errors).not.toMatch(/^Error: tool/m);
        expect(code).toBe(0);
        expect(result['tools']).toContainEqual(expect.objectContaining({ name: 'receipt_note' }));
      });

      test('calls: what is done, and what was asked wrongly', async (context) => {
        const done = await run(context, 'tools/call', '--tool-name', 'receipt_note', '--tool-arg', 'text=inspected');
        expect(done).toMatchObject({ code: 0, result: { structuredContent: {} } });
        const wrong = await run(context, 'tools/call', '--tool-name', 'receipt_get', '--tool-arg', 'seq=-1');
        expect(wrong.result).toMatchObject({ isError: true, structuredContent: { code: 'invalid_input' } });
      });

      test('reads resources, one of a template, and a prompt', async (context) => {
        const status = await run(context, 'resources/read', '--uri', 'seed://status');
        expect(status.result).toMatchObject({ contents: [{ mimeType: 'application/json' }] });
        const receipt = await run(context, 'resources/read', '--uri', 'seed://receipts/0');
        expect(receipt.result).toMatchObject({ contents: [{ uri: 'seed://receipts/0' }] });
        const { result } = await run(context, 'resources/templates/list');
        expect(result).toMatchObject({ resourceTemplates: [{ uriTemplate: 'seed://receipts/{seq}' }] });
        const prompt = await run(context, 'prompts/get', '--prompt-name', 'introduce_seed');
        expect(prompt.result).toMatchObject({ messages: [{ role: 'user' }] });
      });
    });
  });
} else {
  test.skip('the Inspector: its 110 MB are installed by `npm run test:long` alone', () => {});
}
