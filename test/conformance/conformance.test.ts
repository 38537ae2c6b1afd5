/**
 * The protocol's own conformance suite, in two lanes: our server as it is, where whatever needs the
 * suite's fixtures must fail and nothing else may; and the suite's fixtures behind our HTTP door.
 */
import { describe, expect, test } from 'vitest';
import { startDaemon } from '../interop/daemon.ts';
import { scratch } from '../support/scratch.ts';
import { openFixtureDoor } from './fixture/door.ts';
import { openKeyProxy } from './proxy.ts';
import { runSuite } from './suite.ts';

const HELPER = ['seed.status', 'receipt.read', 'receipt.note'] as const;

describe('the shipped server', () => {
  test.each([
    { revision: '2026-07-28', expected: 'shipped-2026-07-28.yaml', passed: 100 },
    { revision: '2025-11-25', expected: 'shipped-2025-11-25.yaml', passed: 30 },
  ] as const)('$revision: fails nothing but what needs fixtures', async ({ revision, expected, passed }) => {
    using folder = scratch();
    await using daemon = await startDaemon(folder.at('home'));
    const { key } = await daemon.issueKey('conformance', HELPER);
    await using proxy = await openKeyProxy(new URL(daemon.url), key);
    const verdict = await runSuite(proxy.url, revision, expected);
    expect(verdict).toMatchObject({ code: 0, complaints: [] });
    // Controls that the suite did run: it ends well when it finds nothing to do, too.
    expect(verdict.passed).toBeGreaterThanOrEqual(passed);
  });
});

describe('the suite’s fixtures behind our door', () => {
  test.each([
    { revision: '2026-07-28', expected: null, passed: 150 },
    { revision: '2025-11-25', expected: 'fixture-2025-11-25.yaml', passed: 40 },
  ] as const)('$revision: conforms', async ({ revision, expected, passed }) => {
    using folder = scratch();
    await using door = await openFixtureDoor(folder.at('home'));
    await using proxy = await openKeyProxy(new URL(door.url), door.key);
    const verdict = await runSuite(proxy.url, revision, expected);
    expect(verdict).toMatchObject({ code: 0, complaints: [] });
    expect(verdict.passed).toBeGreaterThanOrEqual(passed);
  });
});

test('a wrong key gets nothing through: the suite fails without one that counts', async () => {
  using folder = scratch();
  await using door = await openFixtureDoor(folder.at('home'));
  await using proxy = await openKeyProxy(new URL(door.url), 'not-a-key');
  expect((await runSuite(proxy.url, '2026-07-28', null)).code).toBe(1);
});
