/** Grants as a person reads them in a table. */
import { expect, test } from 'vitest';
import type { GrantFacts } from '../../src/cli/grant-text.ts';
import { grantBlock, grantTable } from '../../src/cli/grant-text.ts';
import { PROFILES } from '../../src/substrate/identity/scopes.ts';

function grant(scopes: readonly string[]): GrantFacts {
  const seen = { created: '2026-11-21T07:00:00.000Z', expires: null, last_seen: null, calls: 0 };
  return { id: 'f00d', name: 'cursor', scopes, tools: 'daily', kind: 'local', issued_under: null, ...seen };
}

function may(scopes: readonly string[]): string {
  return /^cursor +local +never +never +0 +(.*)$/m.exec(grantTable([grant(scopes)]))?.[1] ?? '';
}

test('a table names the largest profile and what goes beyond it, and the block every scope', () => {
  expect(may(PROFILES.agent)).toBe('profile agent');
  expect(may([...PROFILES.helper, 'memory.read:team'])).toBe('profile helper, memory.read:team');
  expect(may(PROFILES.agent.slice(1))).not.toContain('profile');
  expect(may(['seed.status', 'task.read'])).toBe('seed.status task.read');
  expect(may([])).toBe('');
  for (const scope of PROFILES.agent) expect(grantBlock(grant(PROFILES.agent))).toContain(scope);
});
