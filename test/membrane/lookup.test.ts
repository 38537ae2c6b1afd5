/** Grants kept between two commits: never anything but what would be read now. */
import * as fc from '../support/fast-check.ts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CommittedState } from '../../src/membrane/lookup.ts';
import { GrantLookup } from '../../src/membrane/lookup.ts';
import { createHome } from '../../src/substrate/home/create.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import type { Grant } from '../../src/substrate/identity/grants.ts';
import { findGrant, insertGrant, noteGrantUse } from '../../src/substrate/identity/grants.ts';
import { openSqliteStore } from '../../src/substrate/store/sqlite.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import { openSubstrate } from '../../src/substrate/substrate.ts';
import { readSwitch, writeSwitch } from '../../src/substrate/switches.ts';
import { edit } from '../doors/rig.ts';
import type { Scratch } from '../support/scratch.ts';
import { scratch } from '../support/scratch.ts';
import { testSources } from '../support/sources.ts';

const driver = 'better-sqlite3';

let folder: Scratch;
let home: string;
let substrate: Substrate;
let reads: number;
let asked: number;
let lookup: GrantLookup;

beforeEach(async () => {
  folder = scratch();
  home = folder.at('home');
  const sources = testSources('lookup');
  await createHome({ home, driver, sources, passphrase: null, port: 1, runtimeFolder: null, version: '0.1.0' });
  substrate = await openSubstrate({ home, driver, sources });
  reads = 0;
  asked = 0;
  const counted: CommittedState = {
    accessVersion: () => substrate.accessVersion(),
    foreignVersion: () => {
      asked++;
      return substrate.foreignVersion();
    },
    read: (fn) => {
      reads++;
      return substrate.read(fn);
    },
  };
  lookup = new GrantLookup(counted);
});

afterEach(async () => {
  await substrate.close();
  folder[Symbol.dispose]();
});

const idOf = (which: number): string => which.toString(16).padStart(32, '0');

function grantOf(which: number, scopes: readonly string[] = ['seed.status']): Grant {
  return {
    id: idOf(which),
    name: `helper-${which}`,
    door: 'http',
    kind: 'helper',
    scopes,
    surface: 'full',
    parent: null,
    publicKey: null,
    createdAt: 0,
    expiresAt: null,
  };
}

const admit = (which: number): Promise<unknown> =>
  substrate.operate({ action: 'key.issue', actor: OWNER }, (op) => insertGrant(op, grantOf(which)));
const remove = (which: number): Promise<unknown> =>
  substrate.operate({ action: 'key.revoke', actor: OWNER }, (op) =>
    op.run('DELETE FROM substrate_grants WHERE id = ?', idOf(which)),
  );
const halt = (on: boolean): Promise<unknown> =>
  substrate.operate({ action: 'seed.halt', actor: OWNER }, (op) => writeSwitch(op, 'halted', on));

describe('[LOCK-MEMBRANE-2] a grant that is looked up', () => {
  test('is read once, until a grant or a switch is committed', async () => {
    await admit(1);
    for (let i = 0; i < 5; i++) expect((await lookup.find(idOf(1)))?.grant.name).toBe('helper-1');
    expect(reads).toBe(1);
    // Presence is written without a receipt and changes no grant.
    await substrate.maintain((tx) => noteGrantUse(tx, idOf(1), 1, 1));
    expect((await lookup.find(idOf(1)))?.grant.name).toBe('helper-1');
    expect(reads).toBe(1);
    // Nor does an operation that writes neither.
    await substrate.operate({ action: 'note.claim', actor: OWNER }, async () => {});
    expect((await lookup.find(idOf(1)))?.grant.name).toBe('helper-1');
    expect(reads).toBe(1);
    await admit(2);
    expect((await lookup.find(idOf(1)))?.grant.name).toBe('helper-1');
    expect(reads).toBe(2);
    await halt(true);
    expect((await lookup.find(idOf(1)))?.halted).toBe(true);
    expect(reads).toBe(3);
  });

  test('is gone with the commit that removes it, and with another program’s', async () => {
    await admit(1);
    await admit(2);
    expect([await lookup.find(idOf(1)), await lookup.find(idOf(2))]).not.toContain(null);
    await remove(1);
    expect(await lookup.find(idOf(1))).toBeNull();
    expect(await lookup.find(idOf(2))).not.toBeNull();
    edit(home, 'DELETE FROM substrate_grants WHERE id = ?', idOf(2));
    expect(await lookup.find(idOf(2))).toBeNull();
  });

  test('has the scopes that another program left it', async () => {
    await admit(1);
    expect((await lookup.find(idOf(1)))?.actor.scopes).toEqual(new Set(['seed.status']));
    edit(home, `UPDATE substrate_grants SET scopes = '[]' WHERE id = ?`, idOf(1));
    expect((await lookup.find(idOf(1)))?.actor.scopes).toEqual(new Set());
  });

  test('after a turn is found as of its end: what was committed before it was asked for is in it, by whomever', async () => {
    for (const which of [1, 2, 3]) await admit(which);
    const find = (which: number) => lookup.findAfterTurn(idOf(which));
    for (const which of [1, 2, 3]) expect((await find(which))?.grant.name).toBe(`helper-${which}`);
    asked = 0;
    const early = [find(1), find(2)];
    edit(home, 'DELETE FROM substrate_grants WHERE id = ?', idOf(2));
    const late = [find(1), find(2), find(3)];
    const names = async (found: readonly ReturnType<typeof find>[]) =>
      (await Promise.all(found)).map((each) => each?.grant.name ?? null);
    expect(await names(late)).toEqual(['helper-1', null, 'helper-3']);
    // Asked for before it was gone, and looked for after.
    expect(await names(early)).toEqual(['helper-1', null]);
    expect(asked).toBe(1);
    edit(home, 'DELETE FROM substrate_grants WHERE id = ?', idOf(3));
    expect(await names([find(3), find(1)])).toEqual([null, 'helper-1']);
    expect(asked).toBe(2);
    const [found] = await Promise.all([find(1), remove(1)]);
    if (found !== null) expect(found.grant.id).toBe(idOf(1));
    expect(await find(1)).toBeNull();
  });

  test('after a turn is told why, where nobody can tell who committed; and so is the next one', async () => {
    await admit(1);
    let fails = true;
    const broken = new GrantLookup({
      accessVersion: () => substrate.accessVersion(),
      read: (fn) => substrate.read(fn),
      foreignVersion: () => {
        if (fails) throw new RangeError('no answer');
        return substrate.foreignVersion();
      },
    });
    const both = [broken.findAfterTurn(idOf(1)), broken.findAfterTurn(idOf(1))];
    for (const each of both) await expect(each).rejects.toThrow('no answer');
    fails = false;
    expect((await broken.findAfterTurn(idOf(1)))?.grant.name).toBe('helper-1');
  });

  test.each(['find', 'findAfterTurn'] as const)(
    'is what a read would find, whatever is committed between: %s',
    async (way) => {
      const which = fc.integer({ min: 1, max: 3 });
      const step = fc.oneof(
        fc.record({ kind: fc.constant('admit' as const), which }),
        fc.record({ kind: fc.constant('remove' as const), which }),
        fc.record({ kind: fc.constant('halt' as const), which }),
        fc.record({ kind: fc.constant('resume' as const), which }),
      );
      const look = async (id: string) =>
        substrate.read(async (db) => {
          const grant = await findGrant(db, id);
          return grant === null ? null : { grant, halted: await readSwitch(db, 'halted') };
        });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          for (const { kind, which: one } of steps) {
            const done = {
              admit: () => admit(one),
              remove: () => remove(one),
              halt: () => halt(true),
              resume: () => halt(false),
            };
            // A look that is under way while the change is made says what held before or what holds after.
            const [found] = await Promise.all([lookup[way](idOf(one)), done[kind]().catch(() => {})]);
            if (found !== null) expect(found.grant.id).toBe(idOf(one));
            for (const each of [1, 2, 3]) {
              const kept = await lookup[way](idOf(each));
              expect(kept === null ? null : { grant: kept.grant, halted: kept.halted }).toEqual(await look(idOf(each)));
            }
          }
        }),
        { numRuns: 25 },
      );
    },
  );
});

test('a store that was opened anew is told from the one before', async () => {
  await substrate.close();
  const store = openSqliteStore({ path: homePath(home, 'database'), driver, sources: testSources('store') });
  try {
    const before = store.foreignVersion();
    expect(store.foreignVersion()).toBe(before);
    await store.reopen();
    expect(store.foreignVersion()).not.toBe(before);
  } finally {
    await store.close();
  }
  substrate = await openSubstrate({ home, driver, sources: testSources('lookup-2') });
});
