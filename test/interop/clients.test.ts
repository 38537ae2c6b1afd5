/** Clients that others wrote, in both eras of the protocol, over every way into a seed. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/child.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import type { TestClient } from './clients.ts';
import { COMBINATIONS, connect } from './clients.ts';
import type { TestDaemon } from './daemon.ts';
import { startDaemon } from './daemon.ts';

let folder: Scratch;
let daemon: TestDaemon;
let named = 0;

beforeAll(async () => {
  folder = scratch();
  daemon = await startDaemon(folder.at('home'));
});

afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]();
  folder?.[Symbol.dispose]();
});

describe.each(COMBINATIONS)('$kind over $way', ({ kind, way }) => {
  /** A client under a name that nobody had before. */
  const arrive = (): Promise<TestClient> => connect(daemon, kind, way, `guest-${++named}`);
  const isStateless = way === 'http' && kind !== 'SDK 2, modern era';

  test('lists what it may use, and is told how to begin', async () => {
    await using client = await arrive();
    const tools = await client.tools();
    expect(tools).toEqual(expect.arrayContaining(['seed_start', 'receipt_note', 'receipt_get']));
    expect(tools).not.toContain('membrane_register');
    expect(tools).not.toContain('key_issue');
    // A local agent has an inbox and sees how the work goes from the start; a key, where it was given that.
    const more = way === 'http' ? [] : ['seed://bus/inbox', 'seed://coherence'];
    expect(await client.resources()).toEqual(['seed://status', 'seed://checkpoint', ...more]);
    // What belongs to sessions is a local agent's from the start, too.
    const sessions = way === 'http' ? [] : ['seed://sessions/{id}'];
    expect(await client.templates()).toEqual(['seed://receipts/{seq}', ...sessions]);
    expect(await client.prompts()).toEqual(['introduce_seed', ...(way === 'http' ? [] : ['handoff_pickup'])]);
    expect(await client.prompt('introduce_seed')).toContain('seed_start');
    expect(client.instructions()).toContain('seed_start');
  });

  test('calls: what is done, what is refused, what was asked wrongly', async () => {
    await using client = await arrive();
    const note = await client.call('receipt_note', { text: 'interoperates' });
    expect(note.isError).toBe(false);
    expect(note.meta['sovereign-seed/checkpoint']).toContain('— ');
    const { structured } = await client.call('receipt_get', { seq: note.structured['receipt'] });
    expect(structured['receipt']).toMatchObject({ outcome: 'claimed', actor: { id: client.name } });

    const refused = await client.call('membrane_register', {
      name: 'helper',
      public_key: 'A'.repeat(44),
      scopes: ['seed.status'],
    });
    expect(refused).toMatchObject({ isError: true, structured: { code: 'forbidden', scope: 'membrane.register' } });
    expect(refused.text).toContain('membrane_request');

    const wrong = await client.call('receipt_get', { seq: 'first' });
    expect(wrong).toMatchObject({ isError: true, structured: { code: 'invalid_input', argument: 'seq' } });
    await expect(client.call('no_such_tool')).rejects.toMatchObject({ code: -32_602 });
  });

  test('holds refusals against the schemas it was given, and takes them', async () => {
    await using client = await arrive();
    // Clients check answers of the tools that they have listed.
    const tools = await client.tools();
    for (const tool of tools) {
      const wrong = await client.call(tool, { surely_not_an_argument: 1 });
      expect({ tool, ...wrong }).toMatchObject({ tool, isError: true, structured: { code: 'invalid_input' } });
    }
    const { structured } = await client.call('receipt_get', { seq: 999_999_999 });
    expect(structured).toMatchObject({ code: 'not_found' });
  });

  test('reads resources, one of a template, and none that is not there', async () => {
    await using client = await arrive();
    const status = await client.read('seed://status');
    expect(status.mimeType).toBe('application/json');
    expect(JSON.parse(status.text)).toMatchObject({ serving: true });
    expect((await client.read('seed://checkpoint')).text).toMatch(/^sovereign-seed\//);
    expect(JSON.parse((await client.read('seed://receipts/0')).text)).toMatchObject({ receipt: { seq: 0 } });
    await expect(client.read('seed://receipts/999999999')).rejects.toThrow('There is no resource');
    await expect(client.read('seed://nothing')).rejects.toThrow('There is no resource');
  });

  if (isStateless) {
    test('learns that it cannot subscribe', async () => {
      await using client = await arrive();
      await expect(client.watch('seed://checkpoint')).rejects.toMatchObject({ code: -32_601 });
    });
  } else {
    test('is told when something changes', async () => {
      await using client = await arrive();
      const { updates } = await client.watch('seed://checkpoint');
      await client.call('receipt_note', { text: 'changes the checkpoint' });
      await until(() => updates.includes('seed://checkpoint'), 'an update of the checkpoint');
      expect(updates).not.toContain('seed://status');
    });
  }

  if (way === 'seed mcp') {
    test('is cut off in mid-stream when its grant is removed, and comes back as one that is new', async () => {
      await using client = await arrive();
      const grantOf = async (): Promise<string | undefined> => {
        const { grants } = (await daemon.owner('key_list', { door: 'agent' })) as {
          grants: { id: string; name: string }[];
        };
        return grants.find(({ name }) => name === client.name)?.id;
      };
      await client.watch('seed://checkpoint');
      const asked = await client.call('membrane_request', { scopes: ['membrane.list'], reason: 'to be more' });
      const { request: id, hash } = asked.structured;
      await daemon.owner('request_approve', { id, hash });
      expect((await client.call('membrane_list')).isError).toBe(false);
      const before = await grantOf();

      const removed = await daemon.owner('key_revoke', { key: client.name, door: 'agent' });
      expect(removed).toMatchObject({ removed: 1, cut: 1 });
      // It listens, so the program comes back by itself: as a new agent, with nothing that the old one gained.
      await until(async () => ![undefined, before].includes(await grantOf()), 'it to come back');
      expect(await client.call('membrane_list')).toMatchObject({ isError: true, structured: { code: 'forbidden' } });
    });

    test('is cut off by a halt, told so, and served again after it', async () => {
      await using client = await arrive();
      await client.watch('seed://checkpoint');
      try {
        expect(await daemon.owner('seed_halt', {})).toMatchObject({ changed: true, cut: 1 });
        await until(
          () =>
            client.call('seed_start').then(
              () => false,
              (error: Error) => error.message.includes('The owner has halted the seed.'),
            ),
          'to be told of the halt',
        );
      } finally {
        await daemon.owner('seed_resume', {});
      }
      await until(
        () =>
          client.call('seed_start').then(
            ({ isError }) => !isError,
            () => false,
          ),
        'to be served again',
      );
    });
    return;
  }

  test('is cut off when its grant is removed, and nobody else is', async () => {
    await using client = await arrive();
    await using other = await arrive();
    const watch = isStateless ? null : await client.watch('seed://checkpoint');
    const untouched = isStateless ? null : await other.watch('seed://checkpoint');
    await client.call('seed_start');
    await daemon.owner('key_revoke', { key: client.name, door: way === 'http' ? 'http' : 'agent' });
    await watch?.over;
    if (way === 'socket') await client.closed;
    await expect(client.call('seed_start')).rejects.toThrow();
    expect((await other.call('receipt_note', { text: 'still here' })).isError).toBe(false);
    if (untouched !== null) {
      await until(() => untouched.updates.length > 0, 'an update for whoever was not cut off');
    }
  });
});
