/**
 * Workers over one home, to be killed:
 *
 *   load.ts HOME ROUND WORKERS [POINT NTH]
 *
 * It says `open` once it works; then what it knows: `added ID`, `claimed ID LEASE WHO`, `finished ID WHO`,
 * `verified ID WHO`.
 */
import { writeSync } from 'node:fs';
import { SeedError } from '../../../src/errors.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { findGrantsNamed } from '../../../src/substrate/identity/grants.ts';
import { lockHome } from '../../../src/substrate/home/lock.ts';
import { systemSources } from '../../../src/substrate/sources.ts';
import { openSubstrate } from '../../../src/substrate/substrate.ts';
import { listTasks } from '../../../src/substrate/tasks/look.ts';
import { seededNumbers } from '../../support/sources.ts';
import { act, owe, worker } from './rig.ts';

const [home = '', round = '', workers = '', point, nth = '1'] = process.argv.slice(2);
const DRIVER = 'better-sqlite3';
const LEASE_MS = 200;
const LIVE_ENOUGH = 40;

const write = (line: string): void => void writeSync(1, `${line}\n`);

let passed = 0;
const fault = (at: string): void => {
  if (at === point && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL');
};

await lockHome(home, { driver: DRIVER, role: 'daemon', waitMs: 10_000 });
const substrate = await openSubstrate({ home, driver: DRIVER, sources: systemSources, fault });

async function actorNamed(name: string): Promise<Actor> {
  const [grant] = await substrate.read((db) => findGrantsNamed(db, name));
  if (grant === undefined) return worker(substrate, name);
  return { id: name, kind: 'agent', grant: grant.id, scopes: new Set(grant.scopes) };
}

/** Somebody else was first, or the lease lapsed: that is what the rules are for. */
async function tried(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof SeedError && (error.code === 'conflict' || error.code === 'forbidden')) return false;
    throw error;
  }
}

async function workOn(nr: number): Promise<never> {
  const random = seededNumbers(`worker ${round} ${nr}`);
  const name = `worker-${nr}`;
  const actor = await actorNamed(name);
  for (;;) {
    const now = systemSources.now();
    const live = await substrate.read((db) => listTasks(db, { state: 'live' }, { now, limit: LIVE_ENOUGH }));
    if (live.length < LIVE_ENOUGH) {
      const needs = live.length > 0 && random(3) === 0 ? [live[random(live.length)]!.id] : [];
      write(`added ${await owe(substrate, actor, `${nr}`, { needs })}`);
    }
    const task = live[random(Math.max(1, live.length))];
    if (task === undefined) continue;
    const { id } = task;
    if (task.state === 'finished') {
      if (await tried(act(substrate, actor, id, 'verify', { lease: task.lease }))) write(`verified ${id} ${name}`);
      continue;
    }
    let lease = 0;
    const claimed = await tried(
      act(substrate, actor, id, 'claim', { leaseMs: LEASE_MS }).then((change) => {
        lease = change.lease;
      }),
    );
    if (!claimed) continue;
    write(`claimed ${id} ${lease} ${name}`);
    // Some forget what they took on.
    if (random(5) === 0) continue;
    if (await tried(act(substrate, actor, id, 'finish', { lease }))) write(`finished ${id} ${name}`);
  }
}

for (let nr = 0; nr < Number(workers); nr++) await actorNamed(`worker-${nr}`);
write('open');
await Promise.all(Array.from({ length: Number(workers) }, (_, nr) => workOn(nr)));
