/**
 * A program from outside that has the database open, as an editor of the owner's would.
 *
 *   outside.ts PATH write   holds the write lock until it is told "release"
 *   outside.ts PATH read    holds a reading transaction until it is told "release"
 */
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';

const [path = '', how = 'write'] = process.argv.slice(2);
const db = new DatabaseSync(path);
if (how === 'write') db.exec('BEGIN IMMEDIATE');
else {
  db.exec('BEGIN');
  db.prepare('SELECT count(*) FROM substrate_receipts').get();
}
process.stdout.write('holding\n');
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'release') break;
}
db.exec('COMMIT');
db.close();
process.stdout.write('released\n');
process.stdin.destroy();
