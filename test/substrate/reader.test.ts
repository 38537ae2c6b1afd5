/** Reading a home whose database another version of the program wrote. */
import { expect, it } from 'vitest';
import { listPeers } from '../../src/substrate/bus/peers.ts';
import { OWNER } from '../../src/substrate/actor.ts';
import { homePath } from '../../src/substrate/home/layout.ts';
import { openConnection } from '../../src/substrate/store/connection.ts';
import { MIGRATIONS } from '../../src/substrate/store/migrations/index.ts';
import { openSubstrateReader } from '../../src/substrate/substrate.ts';
import { codeOf, DRIVERS, makeHome } from '../support/home.ts';
import { scratch } from '../support/scratch.ts';
import { testSources } from '../support/sources.ts';

const NEWEST = MIGRATIONS.length;

it.each(
  DRIVERS.flatMap((driver) => [
    { driver, version: NEWEST - 1, code: 'daemon_absent' },
    { driver, version: NEWEST + 1, code: 'store_newer' },
    { driver, version: NEWEST, code: 'no such column' },
  ]),
)('at version $version on $driver a statement that fails there says $code', async ({ driver, version, code }) => {
  using dir = scratch();
  const home = dir.at('home');
  await makeHome(home, { driver });
  const db = openConnection(driver, homePath(home, 'database'));
  db.exec('ALTER TABLE substrate_inboxes RENAME COLUMN settled TO waiting');
  db.prepare('DELETE FROM substrate_migrations WHERE version > ?').run(version);
  if (version > NEWEST) {
    db.prepare("INSERT INTO substrate_migrations VALUES (?, 'later', '', '')").run(version);
  }
  db.close();
  const reader = openSubstrateReader({ home, driver, sources: testSources() });
  expect(await codeOf(reader.read((view) => listPeers(view, OWNER)))).toContain(code);
  // What is the same in both can be read.
  expect((await reader.log()).size).toBeGreaterThan(0);
  await reader.close();
});
