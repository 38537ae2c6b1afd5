/**
 * The whole of it as one organism, on one CPU and in 512 MB where the machine lets a test say so: a clean home, the
 * real daemon, clients that others wrote. A message becomes a task, the worker does it while a model fails in the
 * middle of its answer, another principal verifies it, coherence sees it, and the receipts prove all of it offline.
 */
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'vitest';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Receipt } from '../../src/formats/receipt.ts';
import { parseReceipt } from '../../src/formats/receipt.ts';
import { startNode, until } from '../support/child.ts';
import { inspect, installInspector } from '../support/inspector.ts';
import type { Limits } from '../support/limits.ts';
import { limitsOf, peakResidentMb, residentMb } from '../support/limits.ts';
import type { ProviderStub } from '../support/provider-stub.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { TestClient } from './clients.ts';
import { connect } from './clients.ts';
import type { TestDaemon } from './daemon.ts';
import { SEED_COMMAND, startDaemon } from './daemon.ts';
import { LESSON, RESULT, startStoryModels, storyPolicy } from './story-models.ts';
import { linksOf } from './story-links.ts';

const MEMORY_MB = 512;
/** Of a daemon to which nobody has spoken yet, a few seconds after its start. */
const IDLE_MB_MAX = 100;
const MESSAGE = 'The login on the website is broken since this morning, please mend it.';

let folder: Scratch;
let limits: Limits;
let models: ProviderStub;
let missing: string | null;

beforeAll(async () => {
  missing = await installInspector();
  folder = scratch();
  limits = limitsOf({ memoryMb: MEMORY_MB });
  models = await startStoryModels();
}, 180_000);

afterAll(async () => {
  await models?.close();
  limits?.[Symbol.dispose]();
  folder?.[Symbol.dispose]();
});

/** The command as its owner types it, under the same limits. */
async function seed(home: string, ...args: readonly string[]): Promise<{ code: number | null; text: string }> {
  await using child = startNode([SEED_COMMAND, ...args, '--home', home], { under: limits.under });
  const { code } = await child.ended;
  return { code, text: `${child.lines.join('\n')}\n${child.errors()}` };
}

/** The Inspector writes to the seed; where it could not be had another client does, and the test says so. */
async function writeToSeed(daemon: TestDaemon, context: TestContext): Promise<void> {
  if (missing === null) {
    const pipe = [process.execPath, SEED_COMMAND, 'mcp', '--as', 'inspector', '--home', daemon.home];
    const call = ['--method', 'tools/call', '--tool-name', 'bus_send'];
    const said = await inspect([...pipe, ...call, '--tool-arg', 'to=seed', '--tool-arg', `text=${MESSAGE}`]);
    expect(said, said.errors).toMatchObject({ code: 0, result: { structuredContent: { to: [{ name: 'seed' }] } } });
    return;
  }
  await context.annotate(`Without the Inspector: ${missing}`);
  await using client = await connect(daemon, 'SDK 1', 'seed mcp', 'inspector');
  expect(await client.call('bus_send', { to: 'seed', text: MESSAGE })).toMatchObject({ isError: false });
}

interface TaskSeen {
  readonly id: string;
  readonly state: string;
  readonly verified_by: string | null;
  readonly history: readonly { readonly note: string | null }[];
}

/** Resolves to the one task once it is in that state. */
async function taskThatIs(state: string, client: TestClient): Promise<TaskSeen> {
  let found: TaskSeen | undefined;
  await until(async () => {
    const { structured } = await client.call('task_list', { state: 'live' });
    [found] = (structured['tasks'] ?? []) as TaskSeen[];
    return found?.state === state;
  }, `a task that is ${state}`);
  return found as TaskSeen;
}

interface WorkSeen {
  readonly name: string;
  readonly owed: number;
  readonly last_done: string | null;
  readonly daily: readonly number[];
}

async function websiteOf(client: TestClient): Promise<WorkSeen | undefined> {
  const { structured } = await client.call('coherence_read');
  return (structured['subsystems'] as WorkSeen[]).find(({ name }) => name === 'website');
}

function receiptsIn(out: string): Receipt[] {
  return readFileSync(`${out}/receipts.jsonl`, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => parseReceipt(line));
}

/** From the message to the verified task, as clients see it; resolves to the task's id. */
async function live(daemon: TestDaemon, context: TestContext): Promise<string> {
  const scopes = ['coherence.read', 'receipt.read', 'task.read', 'task.verify', 'task.write'] as const;
  await using checker = await connect(daemon, 'SDK 2, modern era', 'http', 'checker', scopes);
  await writeToSeed(daemon, context);
  const { id } = await taskThatIs('finished', checker);
  const asked = models.requests.map(({ provider }) => provider);
  expect(asked).toEqual(['local-ollama', 'anthropic', 'anthropic', 'nvidia']);
  expect(await websiteOf(checker)).toMatchObject({ owed: 1, last_done: null });
  expect(await checker.call('task_update', { do: 'verify', id })).toMatchObject({ isError: false });
  const website = await websiteOf(checker);
  expect([website?.owed, website?.daily.at(-1)]).toEqual([0, 1]);
  expect(website?.last_done).not.toBeNull();
  const shown = (await checker.call('task_list', { id })).structured['task'] as TaskSeen;
  expect(shown).toMatchObject({ state: 'done', verified_by: 'checker' });
  expect(shown.history.map(({ note }) => note)).toContain(RESULT);
  const found = await daemon.owner('memory_search', { query: 'empty password' });
  expect(found).toMatchObject({ results: [{ text: LESSON.text, source: `task ${id}` }] });
  return id;
}

/** Every step leads to every other, and the money is that of the receipts. */
async function trace(daemon: TestDaemon, receipts: readonly Receipt[], task: string): Promise<void> {
  const { hops, calls, spentMicroUsd } = linksOf(receipts, task);
  expect(hops).toEqual([
    ['cloud', 'ok'],
    ['cloud', 'incomplete'],
    ['reserve', 'ok'],
  ]);
  for (const { call, receipts: own } of calls) {
    expect(await daemon.owner('route_trace', { seq: own.at(-1) })).toMatchObject({
      call: { id: call, status: 'complete' },
      steps: own.map((receipt) => ({ receipt })),
    });
  }
  expect(await daemon.owner('route_usage', {})).toMatchObject({ spent_micro_usd: spentMicroUsd });
  expect(spentMicroUsd).toBeGreaterThan(0);
}

/** Whoever has the root and the export needs no seed; and is told of one name that was changed. */
async function proveOffline(home: string, out: string): Promise<void> {
  copyFileSync(`${home}/root/1.json`, folder.at('1.json'));
  renameSync(home, folder.at('gone'));
  const verify = ['receipts', 'verify', out, '--root', folder.at('1.json')];
  const proven = await seed(home, ...verify);
  expect([proven.code, proven.text.split(':')[0]]).toEqual([0, 'Proven']);
  const log = readFileSync(`${out}/receipts.jsonl`, 'utf8');
  writeFileSync(`${out}/receipts.jsonl`, log.replace('"checker"', '"inspector"'));
  const broken = await seed(home, ...verify);
  expect([broken.code, broken.text.slice(0, 6)]).toEqual([1, 'Broken']);
}

test('a message is worked on, verified, measured and proven', async (context) => {
  const home = folder.at('home');
  const out = folder.at('out');
  expect(await seed(home, 'init')).toMatchObject({ code: 0 });
  const daemon = await startDaemon(home, { under: limits.under });
  const { pid } = daemon.child;
  let peak: number | null = null;
  try {
    await until(() => (residentMb(pid) ?? 0) <= IDLE_MB_MAX, `the idle daemon to take ${IDLE_MB_MAX} MB at most`);
    await context.annotate(`Limits: ${limits.says}. Idle: ${sayMb(residentMb(pid))}.`);
    writeFileSync(folder.at('policy.yaml'), storyPolicy(models));
    expect(await seed(home, 'policy', 'apply', folder.at('policy.yaml'))).toMatchObject({ code: 0 });
    expect(await seed(home, 'mind', 'on', 'worker')).toMatchObject({ code: 0 });
    const task = await live(daemon, context);
    expect((await seed(home, 'mind', 'log')).text).toContain('1 × task');
    expect(await seed(home, 'receipts', 'export', '--out', out)).toMatchObject({ code: 0 });
    await trace(daemon, receiptsIn(out), task);
    peak = peakResidentMb(pid);
  } finally {
    await daemon.stop();
  }
  // What the group took, or where there is none the daemon alone.
  expect(limits.peakMb() ?? peak ?? 0).toBeLessThan(MEMORY_MB);
  await context.annotate(`At most: the daemon ${sayMb(peak)}, all of them ${sayMb(limits.peakMb())}.`);
  await proveOffline(home, out);
}, 120_000);

function sayMb(mb: number | null): string {
  return mb === null ? 'not known' : `${mb.toFixed(0)} MB`;
}
