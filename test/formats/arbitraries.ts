/** Generators for property tests, shared by the tests beside it. */
import * as fc from '../support/fast-check.ts';
import type { Json } from '../../src/formats/canonical.ts';
import { ACTOR_KINDS, OUTCOMES, type Receipt } from '../../src/formats/receipt.ts';

/** Whether the long sizes were asked for. */
export const LONG: boolean = process.env['SEED_TEST_LONG'] === '1';

/** How often a property runs: often with `SEED_TEST_LONG`, seldom enough for every day without. */
export function runs(usual: number, long: number): { numRuns: number; seed?: number } {
  return LONG ? { numRuns: long } : { numRuns: usual, seed: 7331 };
}

const text: fc.Arbitrary<string> = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constant('"\\\u0000\u2028🌱'),
);

const key: fc.Arbitrary<string> = fc.stringMatching(/^[a-z0-9_]{1,12}$/).filter((name) => name !== '__proto__');

/** Any value inside the subset. */
export const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    text,
    fc.maxSafeInteger().map((n) => (n === 0 ? 0 : n)),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value;

const hex64 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const id = fc.oneof(
  fc.string({ minLength: 1, maxLength: 200 }),
  text.filter((s) => s.length > 0 && s.length <= 200),
);
const name = fc.stringMatching(/^[a-z_]{1,12}$/);

/** Any receipt that may be written, standing alone. */
export const receipt: fc.Arbitrary<Receipt> = fc
  .record({
    seed: hex64,
    seq: fc.maxSafeNat(),
    prev: hex64,
    settles: fc.option(fc.maxSafeNat()),
    ms: fc.integer({ min: Date.UTC(1, 0), max: Date.UTC(9999, 11, 31) }),
    actor: fc.record({ id, kind: fc.constantFrom(...ACTOR_KINDS), grant: fc.option(id) }),
    action: fc
      .tuple(name, fc.array(name, { minLength: 1, maxLength: 3 }))
      .map(([noun, rest]) => [noun, ...rest].join('.')),
    subject: fc.record({ type: id, id }),
    outcome: fc.constantFrom(...OUTCOMES),
    code: fc.option(fc.stringMatching(/^[a-z0-9_]{1,20}$/)),
    input: fc.option(hex64),
    output: fc.option(hex64),
    detail: fc.dictionary(key, json, { maxKeys: 5, noNullPrototype: true }),
  })
  .map(({ settles, ms, ...rest }) => ({
    ...rest,
    v: 1 as const,
    of: rest.outcome === 'intent' || settles === null || rest.seq === 0 ? null : settles % rest.seq,
    time: new Date(ms).toISOString(),
  }));

/** One edit of one byte: what to do, where (as a share of the length), and with which byte. */
export interface Edit {
  readonly kind: 'flip' | 'delete' | 'insert' | 'replace';
  readonly at: number;
  readonly byte: number;
}

export const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom('flip', 'delete', 'insert', 'replace'),
  at: fc.nat(1_000_000).map((millionths) => millionths / 1_000_001),
  byte: fc.nat(255),
});

/** The bytes after the edit, or null where it changed nothing. */
export function edited(bytes: Uint8Array, { kind, at, byte }: Edit): Uint8Array | null {
  const index = Math.floor(at * bytes.length);
  const [head, old = 0, tail] = [bytes.subarray(0, index), bytes[index], bytes.subarray(index + 1)];
  if (kind === 'replace' && old === byte) return null;
  const middle = { flip: [old ^ (1 << (byte % 8))], delete: [], insert: [byte, old], replace: [byte] }[kind];
  return Buffer.concat([head, Uint8Array.from(middle), tail]);
}
