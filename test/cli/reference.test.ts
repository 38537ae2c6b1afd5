/** docs/reference/ says what the code says. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { drift, referencePages } from '../../scripts/reference.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import { TOOLS } from '../support/tools.ts';

test('the pages are what the code says; if not, run node scripts/reference.ts', async () => {
  expect(await drift()).toEqual([]);
});

test('a page that was changed, or is missing, is found', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'seed-reference-'));
  const pages = await referencePages();
  expect(await drift(folder)).toEqual(Object.keys(pages));
  for (const [name, text] of Object.entries(pages)) writeFileSync(path.join(folder, name), text);
  expect(await drift(folder)).toEqual([]);
  const tools = path.join(folder, 'tools.md');
  writeFileSync(tools, readFileSync(tools, 'utf8').replace('receipt.read', 'receipt.write'));
  expect(await drift(folder)).toEqual(['tools.md']);
});

test('nothing is left out', async () => {
  const pages = await referencePages();
  for (const { name } of TOOLS) expect(pages['tools.md']).toContain(`\n## ${name}\n`);
  for (const code of Object.keys(ERROR_CODES)) expect(pages['errors.md']).toContain(`\n| \`${code}\` | `);
  for (const command of ['seed up', 'seed receipts verify', 'seed coherence', 'seed coherence label'])
    expect(pages['cli.md']).toContain(`\n## ${command}\n`);
  // What only has others below it is no command.
  expect(pages['cli.md']).not.toContain('\n## seed receipts\n');
});
