/**
 * LOCK-RECEIPT-1, as far as the exported bytes go: every tamper is found, named, and placed.
 *
 * "By anyone" means without the log key: the receipts change, the checkpoint cannot. "By the log
 * key's holder" means that the checkpoint is signed again over whatever the receipts became.
 */
import { describe, expect, it } from 'vitest';
import { concat, sha256, toBase64, utf8 } from '../../src/formats/bytes.ts';
import type { Receipt } from '../../src/formats/receipt.ts';
import { createLogVerifier, type ProblemCode, type Verdict } from '../../src/formats/verify.ts';
import {
  buildLog,
  buildRoots,
  chained,
  checkpointOf,
  fileOf,
  seal,
  type TestExport,
  type TestLog,
  testKey,
  type TrustOptions,
  verdictOf,
} from './build-log.ts';

const log = buildLog({ size: 12 });
const pinned = { pinnedRoot: log.roots[0]! };
const held = buildLog({ size: 7 }).checkpoint;

function expectBroken(given: TestExport, trust: TrustOptions, seq: number | null, problem: ProblemCode): Verdict {
  const verdict = verdictOf(given, trust);
  expect(verdict).toMatchObject({ verdict: 'broken', firstBroken: { seq, problem } });
  return verdict;
}

/** The export with its lines changed and nothing else. */
function withLines(lines: readonly string[]): TestExport {
  return { ...log, file: fileOf(lines) };
}

/** The export with its receipts changed and signed again by the real log key. */
function signedAnew(receipts: readonly Receipt[]): TestExport {
  return seal(receipts, log);
}

function changed(seq: number, change: Partial<Receipt>): Receipt[] {
  return log.receipts.with(seq, { ...log.receipts[seq]!, ...change });
}

describe('LOCK-RECEIPT-1: an untouched log', () => {
  it('is proven with the root of trust, consistent without', () => {
    const root = log.checkpoint.split('\n')[2];
    const whole = { size: 12, root, seed: log.seed, firstBroken: null, continuesHeld: null };
    expect(verdictOf(log, pinned)).toEqual({ verdict: 'proven', ...whole });
    expect(verdictOf(log)).toEqual({ verdict: 'consistent', ...whole });
    expect(verdictOf(log, { ...pinned, sha: sha256 })).toEqual({ verdict: 'proven', ...whole });
  });

  it.each([0, 1, 7, 12])('goes on from a checkpoint held since it had %d receipts', (size) => {
    const heldCheckpoint = checkpointOf(log.lines.slice(0, size), log.origin, log.logKey);
    expect(verdictOf(log, { ...pinned, heldCheckpoint })).toMatchObject({ verdict: 'proven', continuesHeld: true });
  });

  it('is proven whichever version of the root is pinned, and goes on from a checkpoint under an older log key', () => {
    const rotated = buildLog({ versions: 3 });
    for (const pinnedRoot of rotated.roots) expect(verdictOf(rotated, { pinnedRoot }).verdict).toBe('proven');
    const heldCheckpoint = checkpointOf(rotated.lines.slice(0, 5), rotated.origin, testKey('home log 1'));
    expect(verdictOf(rotated, { heldCheckpoint })).toMatchObject({ verdict: 'consistent', continuesHeld: true });
  });

  it.each([1, 2, 3, 64, 65])('may have %d receipts', (size) => {
    expect(verdictOf(buildLog({ size })).verdict).toBe('consistent');
  });

  it('may be given line by line', () => {
    const verifier = createLogVerifier(log);
    for (const line of log.lines) verifier.push(utf8(line));
    expect(verifier.finish()).toMatchObject({ verdict: 'consistent', size: 12 });
  });
});

describe('LOCK-RECEIPT-1: one field altered by anyone', () => {
  const hex = 'ab'.repeat(32);
  // Receipt 5 settles intent 4; an edit that leaves a good receipt shows in the next one's `prev`.
  it.each<[string, Partial<Receipt>, ProblemCode]>([
    ['action', { action: 'route.attempts' }, 'altered'],
    ['actor.id', { actor: { ...log.receipts[5]!.actor, id: 'cursos' } }, 'altered'],
    ['actor.kind', { actor: { ...log.receipts[5]!.actor, kind: 'human' } }, 'altered'],
    ['actor.grant', { actor: { ...log.receipts[5]!.actor, grant: null } }, 'altered'],
    ['code', { code: null }, 'altered'],
    ['detail', { detail: { tokens_in: 61 } }, 'altered'],
    ['input', { input: hex }, 'altered'],
    ['of, to what is no intent', { of: 3 }, 'of_not_an_intent'],
    ['of, to an intent settled before', { of: 1 }, 'of_already_settled'],
    ['of, to nothing', { of: null }, 'altered'],
    ['outcome', { outcome: 'ok' }, 'altered'],
    ['output', { output: hex }, 'altered'],
    ['prev', { prev: hex }, 'wrong_prev'],
    ['seed', { seed: hex }, 'wrong_seed'],
    ['seq, up', { seq: 6 }, 'wrong_seq'],
    ['seq, far', { seq: 5000 }, 'wrong_seq'],
    ['subject.id', { subject: { type: 'model', id: 'model_6' } }, 'altered'],
    ['subject.type', { subject: { type: 'modem', id: 'model_5' } }, 'altered'],
    ['time, forward', { time: '2026-11-21T07:00:05.001Z' }, 'altered'],
    ['time, beyond the next', { time: '2027-11-21T07:00:05.000Z' }, 'altered'],
    ['time, back', { time: '2026-11-21T07:00:03.999Z' }, 'time_backwards'],
  ])('%s', (_, change, problem) => {
    const { lines } = seal(changed(5, change), log);
    expectBroken(withLines(lines), pinned, 5, problem);
    expectBroken(withLines(lines), {}, 5, problem);
  });

  it.each<[string, string, string, ProblemCode]>([
    ['v', '"v":1', '"v":2', 'bad_field'],
    ['seq, below of', '"seq":5', '"seq":4', 'of_not_an_intent'],
    ['of, to a later receipt', '"of":4', '"of":6', 'of_not_an_intent'],
    ['outcome, to an intent', '"failed"', '"intent"', 'bad_field'],
    ['a key', '"code"', '"core"', 'bad_field'],
    ['a key more', '"v":1', '"v":1,"w":1', 'bad_field'],
    ['a key twice', '"v":1', '"v":1,"v":1', 'not_canonical'],
    ['white space', '"seq":5', '"seq": 5', 'not_canonical'],
    ['another way to write it', '"model"', '"mode\\u006c"', 'not_canonical'],
    ['no JSON', '}', ']', 'not_canonical'],
    ['a carriage return', '"v":1}', '"v":1}\r', 'not_canonical'],
    ['an empty line', '{"action"', '\n{"action"', 'not_canonical'],
  ])('the form: %s', (_, from, to, problem) => {
    const line = log.lines[5]!.replace(from, to);
    expect(line).not.toBe(log.lines[5]);
    expectBroken(withLines(log.lines.with(5, line)), pinned, 5, problem);
  });

  it.each<[number, number | null, ProblemCode]>([
    [0, 0, 'altered'],
    // Nothing follows the last: all that shows is that this is not the log that was signed.
    [11, null, 'root_mismatch'],
  ])('in receipt %d, the first or the last', (seq, named, problem) => {
    const { lines } = seal(changed(seq, { detail: { altered: 'yes' } }), log);
    expectBroken(withLines(lines), pinned, named, problem);
  });

  it.each([6, 4, 5000])('seq 5 to %d is told from a receipt deleted, inserted or moved', (seq) => {
    const lines = log.lines.with(5, log.lines[5]!.replace('"of":4', '"of":null').replace('"seq":5', `"seq":${seq}`));
    expect(expectBroken(withLines(lines), pinned, 5, 'wrong_seq').firstBroken?.message).toMatch(/says that its number/);
  });

  it.each([0, 11])('prev of receipt %d, the first or the last', (seq) => {
    const { lines } = seal(changed(seq, { prev: 'ab'.repeat(32) }), log);
    expectBroken(withLines(lines), pinned, seq, 'wrong_prev');
  });

  it('the one before the last', () => {
    const { lines } = seal(changed(10, { detail: { altered: 'yes' } }), log);
    expectBroken(withLines(lines), pinned, 10, 'altered');
  });

  it('not UTF-8', () => {
    const at = Buffer.from(log.file).indexOf('ü');
    expectBroken({ ...log, file: log.file.with(at + 1, 0x20) }, pinned, 0, 'not_canonical');
  });

  it('too long a line', () => {
    const file = concat(log.file.slice(0, -1), utf8(' '.repeat(70_000)), utf8('\n'));
    expectBroken({ ...log, file }, pinned, 11, 'not_canonical');
  });
});

describe('LOCK-RECEIPT-1: lines moved by anyone', () => {
  const { lines } = log;

  function expectMoved(moved: readonly string[], seq: number | null, problem: ProblemCode, wording: RegExp): void {
    for (const trust of [pinned, {}]) {
      expect(expectBroken(withLines(moved), trust, seq, problem).firstBroken?.message).toMatch(wording);
    }
  }

  it.each([0, 1, 5, 10])('receipt %d deleted', (seq) => {
    expectMoved(lines.toSpliced(seq, 1), seq, 'wrong_seq', /missing/);
  });

  it('several deleted', () => {
    expectMoved(lines.toSpliced(3, 4), 3, 'wrong_seq', /3 to 6 are missing/);
  });

  it.each([0, 5, 10, 11])('receipt %d duplicated on the spot', (seq) => {
    expectMoved(lines.toSpliced(seq, 0, lines[seq]!), seq, 'wrong_seq', /same line stands twice in a row/);
  });

  it('an older receipt duplicated further on', () => {
    expectMoved(lines.toSpliced(8, 0, lines[2]!), 2, 'wrong_seq', /stands again/);
  });

  it.each([
    [0, 1],
    [4, 5],
    [4, 7],
    [10, 11],
  ])('receipts %d and %d exchanged', (a, b) => {
    expectMoved(lines.with(a, lines[b]!).with(b, lines[a]!), a, 'wrong_seq', /reordered|moved/);
  });

  it('a receipt moved forward, and one moved back', () => {
    expectMoved(lines.toSpliced(7, 1).toSpliced(3, 0, lines[7]!), 3, 'wrong_seq', /reordered/);
    expectMoved(lines.toSpliced(3, 1).toSpliced(6, 0, lines[3]!), 3, 'wrong_seq', /missing|moved/);
  });

  const made: Receipt = { ...log.receipts[5]!, of: null, outcome: 'claimed', detail: { made: 'up' } };

  it('a receipt inserted with a fitting number and prev', () => {
    expectMoved(seal(log.receipts.toSpliced(5, 0, made), log).lines, 5, 'wrong_seq', /inserted/);
  });
});

describe('LOCK-RECEIPT-1: receipts written anew by anyone, with care', () => {
  // Nothing in it refers to anything, so that every receipt can be moved and still be a good one.
  const plain = buildLog({ receipt: () => ({ of: null, outcome: 'ok', time: '2026-11-21T07:00:00.000Z' }) });
  const made: Receipt = { ...plain.receipts[5]!, detail: { made: 'up' } };

  function expectFound(receipts: readonly Receipt[], seq: number | null, problem: ProblemCode, wording: RegExp): void {
    const forged = { ...seal(chained(receipts), plain), checkpoint: plain.checkpoint };
    expect(expectBroken(forged, {}, seq, problem).firstBroken?.message).toMatch(wording);
  }

  it('one inserted', () => {
    expectFound(plain.receipts.toSpliced(9, 0, made), null, 'root_mismatch', /written anew/);
  });

  it('one deleted', () => {
    expectFound(plain.receipts.toSpliced(9, 1), 11, 'cut_tail', /covers 12/);
  });

  it('one put in the place of another', () => {
    expectFound(plain.receipts.with(9, made), null, 'root_mismatch', /written anew/);
  });

  it('two exchanged', () => {
    const { receipts } = plain;
    expectFound(receipts.with(4, receipts[7]!).with(7, receipts[4]!), null, 'root_mismatch', /written anew/);
  });

  it('one added at the end', () => {
    expectFound([...plain.receipts, made], 12, 'extra_tail', /covers 12/);
  });
});

describe('LOCK-RECEIPT-1: a file cut short or mixed by anyone', () => {
  const { lines } = log;

  it.each([11, 6, 1])('cut to %d receipts', (size) => {
    expectBroken(withLines(lines.slice(0, size)), pinned, size, 'cut_tail');
  });

  it('cut to nothing', () => {
    expectBroken(withLines([]), pinned, 0, 'cut_tail');
  });

  it.each([1, 2, 100])('cut by %d bytes, inside a line', (bytes) => {
    const cut = expectBroken({ ...log, file: log.file.subarray(0, -bytes) }, pinned, 11, 'truncated_line');
    expect(cut.firstBroken?.message).toMatch(/newline/);
  });

  it('mixed with the lines of another seed', () => {
    const other = buildLog({ name: 'elsewhere' });
    expectBroken(withLines([...lines.slice(0, 6), ...other.lines.slice(6)]), pinned, 6, 'wrong_seed');
    expectBroken(withLines(other.lines), pinned, 0, 'wrong_seed');
  });
});

describe('LOCK-RECEIPT-1: a log that its key holder signed, but that no seed writes', () => {
  it.each<[string, number, Partial<Receipt>, ProblemCode]>([
    ['an outcome before its intent', 6, { of: 7, outcome: 'ok' }, 'of_not_an_intent'],
    ['an outcome of what is no intent', 6, { of: 3 }, 'of_not_an_intent'],
    ['two outcomes of one intent', 6, { of: 4 }, 'of_already_settled'],
    ['the clock turned back', 6, { time: '2026-11-21T07:00:04.999Z' }, 'time_backwards'],
    ['another seed', 6, { seed: 'ab'.repeat(32) }, 'wrong_seed'],
  ])('%s', (_, seq, change, problem) => {
    // An outcome that settles a later receipt is no receipt at all, so it is written past the encoder.
    const isLater = change.of !== undefined && (change.of ?? 0) > seq;
    const { lines } = seal(chained(changed(seq, isLater ? { ...change, of: 3 } : change)), log);
    const written = isLater ? lines.with(seq, lines[seq]!.replace('"of":3', `"of":${change.of}`)) : lines;
    const signed = { ...log, file: fileOf(written), checkpoint: checkpointOf(written, log.origin, log.logKey) };
    expectBroken(signed, pinned, seq, problem);
  });

  it('a broken chain', () => {
    expectBroken(
      signedAnew(changed(6, { detail: {} }).with(6, { ...log.receipts[6]!, detail: { a: 1 } })),
      pinned,
      6,
      'altered',
    );
    expectBroken(signedAnew(log.receipts.toSpliced(3, 1)), pinned, 3, 'wrong_seq');
  });

  it('nothing', () => {
    const empty = expectBroken(signedAnew([]), pinned, null, 'empty_log');
    expect(empty.size).toBe(0);
  });
});

describe('LOCK-RECEIPT-1: against the log key, by a checkpoint held', () => {
  const trust = { ...pinned, heldCheckpoint: held };

  it('a tail cut off and signed again', () => {
    const cut = signedAnew(log.receipts.slice(0, 5));
    expect(expectBroken(cut, trust, 5, 'held_newer').continuesHeld).toBe(false);
    // Negative control: without the held checkpoint nothing is wrong with it.
    expect(verdictOf(cut, pinned).verdict).toBe('proven');
  });

  it('a fork signed again', () => {
    const fork = signedAnew(chained(changed(3, { detail: { other: 'history' } })));
    expect(expectBroken(fork, trust, null, 'held_not_continued').continuesHeld).toBe(false);
    expect(verdictOf(fork, pinned).verdict).toBe('proven');
  });

  it('a fork after what was held is not seen', () => {
    const fork = signedAnew(chained(changed(9, { detail: { other: 'history' } })));
    expect(verdictOf(fork, trust)).toMatchObject({ verdict: 'proven', continuesHeld: true });
  });

  it('a checkpoint held of another log, or of no log', () => {
    const heldCheckpoint = buildLog({ name: 'elsewhere' }).checkpoint;
    expectBroken(log, { ...pinned, heldCheckpoint }, null, 'held_not_continued');
    expectBroken(log, { ...pinned, heldCheckpoint: 'hello\n' }, null, 'bad_held');
  });

  it('says nothing of it where the log breaks before', () => {
    expect(expectBroken(withLines(log.lines.toSpliced(2, 1)), trust, 2, 'wrong_seq').continuesHeld).toBeNull();
  });
});

describe('LOCK-RECEIPT-1: roots and checkpoints', () => {
  /** The same receipts under keys of the forger's own. */
  function regenerated(): TestLog {
    return buildLog({ name: 'forger', receipt: (seq) => ({ detail: log.receipts[seq]!.detail }) });
  }

  it('everything made again under another key', () => {
    expectBroken(regenerated(), pinned, null, 'wrong_root');
    // Negative control: only the pinned root tells.
    expect(verdictOf(regenerated()).verdict).toBe('consistent');
    expectBroken(regenerated(), { heldCheckpoint: held }, null, 'held_not_continued');
  });

  it('the checkpoint signed by another key', () => {
    expectBroken(
      { ...log, checkpoint: checkpointOf(log.lines, log.origin, testKey('forger')) },
      pinned,
      null,
      'bad_checkpoint',
    );
  });

  it('the checkpoint signed by a log key that was replaced', () => {
    const rotated = buildLog({ versions: 2 });
    const old = { ...rotated, checkpoint: checkpointOf(rotated.lines, rotated.origin, testKey('home log 1')) };
    expectBroken(old, {}, null, 'bad_checkpoint');
    // Left out the version that replaced it: found by whoever pinned that one.
    const rolledBack = { ...old, roots: rotated.roots.slice(0, 1) };
    expect(verdictOf(rolledBack).verdict).toBe('consistent');
    expectBroken(rolledBack, { pinnedRoot: rotated.roots[1]! }, null, 'wrong_root');
  });

  it("another seed's checkpoint, or roots", () => {
    const other = buildLog({ name: 'elsewhere' });
    expectBroken({ ...log, checkpoint: other.checkpoint }, pinned, null, 'bad_checkpoint');
    expectBroken({ ...log, roots: other.roots }, {}, null, 'bad_checkpoint');
    expectBroken({ ...log, roots: [log.roots[0]!, buildRoots('elsewhere', 2).roots[1]!] }, pinned, null, 'bad_root');
  });

  it('a checkpoint over another tree of the same size', () => {
    const other = seal(chained(changed(3, { detail: { other: 'history' } })), log);
    expectBroken({ ...log, checkpoint: other.checkpoint }, pinned, null, 'root_mismatch');
  });

  it('no roots', () => {
    expectBroken({ ...log, roots: [] }, pinned, null, 'bad_root');
  });

  it('is not proven by an empty pin', () => {
    expectBroken(log, { pinnedRoot: '' }, null, 'wrong_root');
  });

  it('a root in base64 that only looks like the signed one', () => {
    const root = log.checkpoint.split('\n')[2]!;
    const other = toBase64(new Uint8Array(32));
    expectBroken({ ...log, checkpoint: log.checkpoint.replace(root, other) }, pinned, null, 'bad_checkpoint');
  });
});
