/** How the launcher treats V8: no optimising compiler while starting, and none where there was none. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { scratch } from '../support/scratch.ts';
import { LAUNCHER, run } from './seed.ts';

/** Lets the start's time pass at the end of the command, then runs what V8 would optimise. */
const LATER = `
const { mock } = require('node:test');
mock.timers.enable({ apis: ['setTimeout'] });
const { cachedDataVersionTag } = require('node:v8');
const before = cachedDataVersionTag();
process.on('exit', () => {
  const started = cachedDataVersionTag();
  mock.timers.tick(1000);
  let sum = 0;
  const add = (value) => value * 2 + 1;
  for (let i = 0; i < 3e6; i++) sum += add(i);
  const after = cachedDataVersionTag();
  process.stdout.write(JSON.stringify({ pausedAtStart: started !== before, asBefore: after === before }));
});
`;

test.each([
  { flag: '--opt', pausedAtStart: true },
  { flag: '--no-opt', pausedAtStart: false },
  { flag: '--jitless', pausedAtStart: false },
])('under node $flag, the start leaves V8 as it was', async ({ flag, pausedAtStart }) => {
  using room = scratch();
  const later = room.at('later.cjs');
  writeFileSync(later, LATER);
  const { code, stdout, stderr } = await run([flag, '--require', later, LAUNCHER, '--version']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.split('\n').at(-1)).toBe(JSON.stringify({ pausedAtStart, asBefore: true }));
});
