import { expect, test } from 'vitest';
import { ERROR_CODES, fromWire, SeedError, toWire } from '../src/errors.ts';

const HINT = { hint: 'Look.', data: { pid: 7, where: null } };

test.each(Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[])('%s survives the wire', (code) => {
  const sent = new SeedError(code, 'What happened.', HINT);
  const wire: unknown = JSON.parse(JSON.stringify(toWire(sent, { outside: false })));
  expect(toWire(fromWire(wire), { outside: false })).toEqual({ code, message: 'What happened.', ...HINT });
});

test('what a defect says stays inside, and nothing else does', () => {
  expect(toWire(new SeedError('internal', 'cannot read /secret', HINT), { outside: true }).message).toBe(
    'Something went wrong inside the seed.',
  );
  expect(toWire(new SeedError('busy', 'Too much.', HINT), { outside: true }).message).toBe('Too much.');
});

test.each([null, 7, 'text', [], {}, { code: 'toString' }, { code: '__proto__', message: 3, hint: {}, data: 'x' }])(
  'what is no error is a defect: %j',
  (value) => {
    expect(toWire(fromWire(value), { outside: false })).toEqual({
      code: 'internal',
      message: 'The seed failed without saying why.',
      hint: '',
      data: {},
    });
  },
);

test.each([
  ['Run `seed doctor`.', 'Tell the owner: Run `seed doctor`.'],
  ['Ask the owner to run `seed doctor`.', 'Ask the owner to run `seed doctor`.'],
  ['Connect with `seed mcp --as NAME`.', 'Connect with `seed mcp --as NAME`.'],
  ['List the receipts.', 'List the receipts.'],
])('a hint for the owner is told to others as one: %s', (hint, told) => {
  const error = new SeedError('busy', 'Too much.', { hint });
  expect(toWire(error, { outside: false }).hint).toBe(hint);
  const wire = toWire(error, { outside: true });
  expect(wire.hint).toBe(told);
  // Told on, it is not told twice.
  expect(toWire(fromWire(wire), { outside: true }).hint).toBe(told);
});
