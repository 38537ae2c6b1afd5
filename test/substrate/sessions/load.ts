/**
 * Agents that work in sessions and hand them round, over one home, to be killed:
 *
 *   load.ts HOME ROUND SESSIONS [POINT NTH]
 *
 * It says `open` once it works; `added SESSION KEY`, `offered SESSION HANDOFF` and
 * `redeemed SESSION EPOCH WHO` once it knows. Each offer is redeemed by everybody at once.
 */
import { writeSync } from 'node:fs';
import { SeedError } from '../../../src/errors.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { lockHome } from '../../../src/substrate/home/lock.ts';
import { findGrantsNamed } from '../../../src/substrate/identity/grants.ts';
import { listHeld } from '../../../src/substrate/sessions/sessions.ts';
import { systemSources } from '../../../src/substrate/sources.ts';
import { openSubstrate } from '../../../src/substrate/substrate.ts';
import { seededNumbers } from '../../support/sources.ts';
import { letIn } from '../bus/rig.ts';
import { accept, append, look, offer, open, say, SESSION_SCOPES, spend } from './rig.ts';

const [home = '', round = '', sessions = '', point, nth = '1'] = process.argv.slice(2);
const DRIVER = 'better-sqlite3';
const PEOPLE = ['ann', 'bob', 'carl'];
const BUDGET = 1_000_000;

const write = (line: string): void => void writeSync(1, `${line}\n`);

let passed = 0;
const fault = (at: string): void => {
  if (at === point && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL');
};

await lockHome(home, { driver: DRIVER, role: 'daemon', waitMs: 10_000 });
const substrate = await openSubstrate({ home, driver: DRIVER, sources: systemSources, fault });

async function actorNamed(name: string): Promise<Actor> {
  const [grant] = await substrate.read((db) => findGrantsNamed(db, name));
  if (grant === undefined) return letIn(substrate, name, { scopes: SESSION_SCOPES });
  return { id: name, kind: 'agent', grant: grant.id, scopes: new Set(grant.scopes) };
}

const people = await Promise.all(PEOPLE.map(actorNamed));

/** What an earlier round left, or a new one. */
async function sessionsToWork(): Promise<string[]> {
  const left = await Promise.all(people.map(({ grant }) => substrate.read((db) => listHeld(db, grant, 100))));
  const ids = left.flat().map(({ id }) => id);
  while (ids.length < Number(sessions)) {
    const [first] = people;
    if (first !== undefined) ids.push((await open(substrate, first, { budgetMicroUsd: BUDGET })).id);
  }
  return ids;
}

async function holderOf(session: string): Promise<Actor> {
  const { holder } = await look(substrate, session);
  const found = people.find(({ grant }) => grant === holder);
  if (found === undefined) throw new Error(`Nobody holds ${session}.`);
  return found;
}

async function work(session: string, nr: number): Promise<never> {
  const random = seededNumbers(`sessions ${round} ${nr}`);
  for (let n = 1; ; n++) {
    const holder = await holderOf(session);
    const key = `${round}-${n}`;
    await append(substrate, holder, session, [say(key)], { key });
    write(`added ${session} ${key}`);
    if (random(3) === 0) await spend(substrate, holder, session, 1 + random(3));
    if (random(3) > 0) continue;
    const { token, handoff } = await offer(substrate, holder, session, { budgetMicroUsd: null, lifeMs: 600_000 });
    write(`offered ${session} ${handoff.id}`);
    await Promise.all(
      people.map(async (who) => {
        try {
          const got = await accept(substrate, who, token, who.id);
          write(`redeemed ${session} ${got.session.epoch} ${who.id}`);
        } catch (error) {
          if (!(error instanceof SeedError) || error.code !== 'handoff_redeemed') throw error;
        }
      }),
    );
  }
}

const ids = await sessionsToWork();
write('open');
await Promise.all(ids.map(work));
