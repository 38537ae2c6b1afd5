/** The real daemon: one serves, it is killed, the next goes on; and homes whose making is killed. */
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { callOwnerDoor } from '../../src/cli/owner-client.ts';
import { homeState } from '../../src/substrate/home/create.ts';
import { socketPaths } from '../../src/substrate/home/sockets.ts';
import { readSettings } from '../../src/substrate/home/settings.ts';
import type { Child } from '../support/child.ts';
import { allReceipts, openAgain, verifyExport } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { answerOf, seed, serving, startSeed } from '../support/seed-command.ts';

const IS_LONG = process.env['SEED_TEST_LONG'] === '1';
/** Processes that are started at once: enough for each to meet others at every step. */
const AT_ONCE = IS_LONG ? 10 : 4;

/** A user without rights, where this one has them all. */
const NOBODY = process.getuid?.() === 0 ? 65_534 : undefined;

function ownerSocket(home: string): string {
  return socketPaths(home, readSettings(home).sockets).owner;
}

async function verdictOn(home: string, out: string): Promise<{ verdict: string; size: number }> {
  await using again = await openAgain(home);
  expect(again.substrate.distrust).toBeNull();
  return await verifyExport(again.substrate, { out, pinnedRoot: again.pinnedRoot });
}

describe('daemons of one home', () => {
  it('started many at once: one serves, the others name it; and so it is after each SIGKILL', async () => {
    using dir = scratch();
    const home = dir.at('home');
    for (let round = 0; round < 2; round++) {
      await using all = new AsyncDisposableStack();
      const children: readonly Child[] = Array.from({ length: AT_ONCE }, () => all.use(startSeed(home, ['up'])));
      const ends = await Promise.all(
        children.map((child) =>
          serving(child).then(
            () => child,
            () => null,
          ),
        ),
      );
      const [first, ...others] = ends.filter((child) => child !== null);
      expect(others).toEqual([]);
      for (const child of children.filter((candidate) => candidate !== first)) {
        expect(await answerOf(child)).toMatchObject({
          code: 1,
          json: { error: { code: 'home_locked', data: { pid: first!.pid } } },
        });
      }
      const late = await seed(home, ['up']);
      expect(late).toMatchObject({ code: 1, json: { error: { code: 'home_locked', data: { pid: first!.pid } } } });
      first!.kill('SIGKILL');
      expect(await first!.ended).toMatchObject({ signal: 'SIGKILL' });
    }
    await using next = startSeed(home, ['up']);
    await serving(next);
    next.kill('SIGTERM');
    expect(await next.ended).toEqual({ code: 0, signal: null });
    expect(await verdictOn(home, dir.at('out'))).toMatchObject({ verdict: 'proven' });
  });

  it.each(['store.commit.before', 'store.commit.after', 'group.answer'])(
    '[LOCK-RECEIPT-2] killed at %s under calls: what was answered is there',
    async (point) => {
      using dir = scratch();
      const home = dir.at('home');
      const answered = new Map<number, string>();
      for (let round = 0; round < (IS_LONG ? 5 : 1); round++) {
        await using daemon = startSeed(home, ['up'], { env: { SEED_FAULT: `${point}:${8 + round}` } });
        await serving(daemon);
        const path = ownerSocket(home);
        const call = async (text: string): Promise<void> => {
          const answer = (await callOwnerDoor(path, { tool: 'receipt_note', input: { text } }, () => {})) as {
            receipt: number;
          };
          answered.set(answer.receipt, text);
        };
        let calls = 0;
        const caller = async (): Promise<void> => {
          for (;;) await call(`note ${round} ${calls++}`);
        };
        // Every caller ends, because the daemon does.
        await Promise.allSettled(Array.from({ length: 16 }, caller));
        expect(await daemon.ended).toMatchObject({ signal: 'SIGKILL' });
      }
      expect(answered.size).toBeGreaterThan(0);
      await using again = await openAgain(home);
      const receipts = await allReceipts(again.substrate);
      for (const seq of answered.keys()) expect(receipts[seq]).toMatchObject({ outcome: 'claimed', seq });
      expect(await verifyExport(again.substrate, { out: dir.at('out'), pinnedRoot: again.pinnedRoot })).toMatchObject({
        verdict: 'proven',
        size: receipts.length,
      });
    },
  );
});

describe('the making of a home', () => {
  it.each(['home.begun', 'home.keyed', 'home.stored', 'home.settled'])(
    'killed at %s is made whole by the next',
    async (point) => {
      using dir = scratch();
      const home = dir.at('home');
      expect(await seed(home, ['init'], { env: { SEED_FAULT: point } })).toMatchObject({ signal: 'SIGKILL' });
      expect(homeState(home)).toBe(point === 'home.settled' ? 'finished' : 'unfinished');
      expect(await seed(home, ['init'])).toMatchObject({ code: 0, json: { created: point !== 'home.settled' } });
      expect(await verdictOn(home, dir.at('out'))).toMatchObject({ verdict: 'proven', size: 1 });
    },
  );

  it('by many at once makes one', async () => {
    using dir = scratch();
    const home = dir.at('home');
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => seed(home, ['init'])));
    expect(answers.map(({ code }) => code)).toEqual(answers.map(() => 0));
    expect(answers.filter(({ json }) => json?.['created'] === true)).toHaveLength(1);
    expect(await verdictOn(home, dir.at('out'))).toMatchObject({ verdict: 'proven', size: 1 });
  });

  it('in a folder that cannot be written says so and leaves it as it is', async () => {
    using dir = scratch();
    chmodSync(dir.folder, 0o755);
    mkdirSync(dir.at('closed'), { mode: 0o555 });
    mkdirSync(dir.at('open'));
    if (NOBODY !== undefined) for (const name of ['closed', 'open']) chownSync(dir.at(name), NOBODY, NOBODY);
    const options = { ...(NOBODY === undefined ? {} : { uid: NOBODY }), cwd: '/' };
    for (const home of [dir.at('closed'), dir.at('closed', 'home'), dir.at('closed', 'a', 'b')]) {
      expect([home, await seed(home, ['init'], options)]).toMatchObject([
        home,
        { code: 1, json: { error: { code: 'home_unwritable' } } },
      ]);
    }
    expect(readdirSync(dir.at('closed'))).toEqual([]);
    // The control: the same user makes one where it may, and cannot once the folder is closed.
    expect(await seed(dir.at('open', 'home'), ['init'], options)).toMatchObject({ code: 0 });
    chmodSync(dir.at('open', 'home'), 0o555);
    expect((await seed(dir.at('open', 'home'), ['up'], options)).json).toMatchObject({
      error: { code: expect.stringMatching(/^(home|store)_unwritable$/) as string },
    });
  });

  it.each(['up', 'init'])('of a foreign folder is refused by seed %s', async (verb) => {
    using dir = scratch();
    writeFileSync(dir.at('letter.txt'), 'Dear aunt');
    expect(await seed(dir.folder, [verb])).toMatchObject({ code: 1, json: { error: { code: 'home_foreign' } } });
    expect(readdirSync(dir.folder)).toEqual(['letter.txt']);
  });
});
