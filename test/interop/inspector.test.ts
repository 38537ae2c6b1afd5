/** The MCP Inspector's command line, in both eras, over HTTP and `seed mcp`. */
import type { TestContext } from 'vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Inspected } from '../support/inspector.ts';
import { inspect, installInspector } from '../support/inspector.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { TestDaemon } from './daemon.ts';
import { SEED_COMMAND, startDaemon } from './daemon.ts';

const isLong = process.env['SEED_TEST_LONG'] === '1';

let folder: Scratch;
let daemon: TestDaemon;
let key: string;
/** Why it is not there; null when it is. */
let missing: string | null = null;

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
      missing = await installInspector();
      daemon = await startDaemon(folder.at('home'));
      ({ key } = await daemon.issueKey('inspector', ['seed.status', 'receipt.read', 'receipt.note']));
    });

    afterAll(async () => {
      await daemon?.[Symbol.asyncDispose]();
      folder?.[Symbol.dispose]();
    });

    describe.each(CASES)('$era over $way', ({ way, era }) => {
      const run = (context: TestContext, method: string, ...args: readonly string[]): Promise<Inspected> => {
        if (missing !== null) context.skip(missing);
        return inspect([...ways[way](), '--protocol-era', era, '--method', method, ...args]);
      };

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
        expect(result['resourceTemplates']).toContainEqual(
          expect.objectContaining({ uriTemplate: 'seed://receipts/{seq}' }),
        );
        const prompt = await run(context, 'prompts/get', '--prompt-name', 'introduce_seed');
        expect(prompt.result).toMatchObject({ messages: [{ role: 'user' }] });
      });
    });
  });
} else {
  test.skip('the Inspector in every way and era: `npm run test:long`; one of them is in story.test.ts', () => {});
}
