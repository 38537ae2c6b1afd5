/** One rule for names, wherever a key or an agent gets one. */
import * as fc from '../support/fast-check.ts';
import { expect, test } from 'vitest';
import { agentName } from '../../src/doors/hello.ts';
import { isAgentName, slug } from '../../src/substrate/identity/names.ts';
import { GrantName } from '../../src/tools/grant-view.ts';

test('whatever a client calls itself, the name is one that a grant can have, or none', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const name = slug(text);
      expect(name === null || /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/.test(name)).toBe(true);
    }),
  );
});

test('the pipe’s name for a client is the one that the door makes of it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('Éditeur', 'Owner', 'seed')), (text) => {
      const name = agentName({ as: null, client: text });
      expect(agentName({ as: slug(text), client: text })).toBe(name);
      expect(isAgentName(name)).toBe(true);
      expect(GrantName.safeParse(name).success).toBe(true);
    }),
  );
  expect(slug('Éditeur')).toBe('editeur');
});

test.each(['a', '0', 'my.bot_2', 'x'.repeat(64), 'owner-2'])('a grant can be called %s', (name) => {
  expect(GrantName.safeParse(name).success).toBe(true);
});

// Receipts name the actor: a key called "owner" would write receipts that read like the owner's.
test.each(['owner', 'seed', 'external-sql', '', '.a', '-a', 'A', 'é', 'a b', 'x'.repeat(65)])(
  'a grant cannot be called "%s"',
  (name) => {
    expect(GrantName.safeParse(name).success).toBe(false);
    expect(isAgentName(name)).toBe(false);
  },
);
