/** Service files with paths that their formats give a meaning of their own. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { serviceUnit } from '../../src/cli/unit.ts';
import { scratch } from '../support/scratch.ts';
import { LAUNCHER, seed, seedJson } from './seed.ts';

const ODD = '/srv/my seed/100%/$HOME/"q"/back\\slash/<&>/ümlaut';

/** Takes ExecStart apart as systemd.service(5), "Command lines" and systemd.unit(5), "Specifiers" say. */
function systemdWords(line: string): string[] {
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, body = '']) => body);
  return words.map((body, index) => {
    const plain = body.replaceAll(/\\(["\\])/g, '$1').replaceAll('%%', '%');
    return index === 0 ? plain : plain.replaceAll('$$', '$');
  });
}

test('systemd: each word arrives as it was meant', () => {
  const exec = /^ExecStart=(.*)$/m.exec(serviceUnit('systemd', ODD))?.[1] ?? '';
  expect(systemdWords(exec)).toEqual([process.execPath, expect.stringMatching(/seed\.cjs$/), 'up', '--home', ODD]);
  expect(exec.replaceAll('%%', '')).not.toContain('%');
});

test('launchd: the property list is well formed and each word arrives as it was meant', () => {
  const unit = serviceUnit('launchd', ODD);
  const words = [...unit.matchAll(/<string>([^<]*)<\/string>/g)].map(([, text = '']) =>
    text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
  );
  expect(words.slice(1)).toEqual([process.execPath, expect.stringMatching(/seed\.cjs$/), 'up', '--home', ODD]);
  expect(unit.replaceAll(/&(?:lt|gt|amp);/g, '')).not.toContain('&');
});

test('the command prints it, makes no home, and has it as JSON too', async () => {
  using room = scratch();
  const argv = ['up', '--home', room.at('a home'), '--print-unit', 'systemd'];
  const { code, stdout } = await seed(argv);
  expect(code).toBe(0);
  expect(stdout).toBe(serviceUnit('systemd', room.at('a home')).replace(/"[^"]*seed\.cjs"/, `"${LAUNCHER}"`));
  expect((await seedJson(argv)).answer).toEqual({ manager: 'systemd', unit: stdout });
  const status = await seed(['status', '--home', room.at('a home')]);
  expect(status.stderr).toContain('There is no seed');
});

const hasSystemd = spawnSync('systemd-analyze', ['--version'], { stdio: 'ignore' }).status === 0;

test.runIf(hasSystemd)('systemd itself finds nothing wrong with it', () => {
  using room = scratch();
  mkdirSync(room.at('units'));
  const file = room.at('units', 'sovereign-seed-test.service');
  writeFileSync(file, serviceUnit('systemd', ODD));
  const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
  // It also speaks of the machine's own units; only what names this file counts.
  expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes('sovereign-seed-test'))).toEqual([]);
});
