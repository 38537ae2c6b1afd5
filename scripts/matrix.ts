/**
 * Packs the package, installs it into an empty folder, and uses it on every Node that it supports,
 * and on one that it must refuse.
 *
 *   matrix.ts                 all of them
 *   matrix.ts 26 22.14        only these
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { closingLine } from './gate.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const SUPPORTED = ['22.14', '24', '26'];
const REFUSED = ['20'];
const COMMAND_MS_MAX = 60_000;
const NPM_MS_MAX = 300_000;
const START_MS_MAX = 30_000;
const POLL_MS = 200;

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; one that does not end in time counts as exit code -1. */
async function run(command: string, args: readonly string[], cwd: string, timeout: number): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { cwd, timeout, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr: error !== null && code === -1 ? `${stderr}${error.message}` : stderr });
    });
    child.stdin?.end();
  });
}

function describe(ran: Run): string {
  return `exit code ${ran.code}\n${ran.stdout}${ran.stderr}`.trim();
}

function assert(holds: boolean, what: string, ran: Run): void {
  if (!holds) throw new Error(`${what}: ${describe(ran)}`);
}

async function npm(args: readonly string[], cwd: string): Promise<void> {
  const ran = await run('npm', [...args, '--loglevel=error', '--no-audit', '--no-fund'], cwd, NPM_MS_MAX);
  assert(ran.code === 0, `npm ${args[0]}`, ran);
}

/** An empty folder with the packed package in it; returns the path of its `seed` command. */
async function installPacked(folder: string): Promise<string> {
  const packed = path.join(folder, 'packed');
  const installed = path.join(folder, 'an empty folder');
  for (const made of [packed, installed]) mkdirSync(made);
  await npm(['pack', '--pack-destination', packed], ROOT);
  const [tarball] = readdirSync(packed);
  if (tarball === undefined) throw new Error('npm pack made nothing.');
  writeFileSync(path.join(installed, 'package.json'), '{ "private": true }\n');
  await npm(['install', '--ignore-scripts', path.join(packed, tarball)], installed);
  return path.join(installed, 'node_modules', 'sovereign-seed', 'bin', 'seed.cjs');
}

/** A Node of this version line, from the package that also brings the project's own. */
async function installNode(folder: string, version: string): Promise<string> {
  const place = path.join(folder, `node-${version}`);
  mkdirSync(place);
  writeFileSync(path.join(place, 'package.json'), '{ "private": true, "allowScripts": { "node": true } }\n');
  await npm(['install', '--ignore-scripts=false', `node@${version}`], place);
  return path.join(place, 'node_modules', 'node', 'bin', 'node');
}

async function refuses(node: string, seed: string, folder: string): Promise<void> {
  const ran = await run(node, [seed, '--version'], folder, COMMAND_MS_MAX);
  assert(ran.code === 1, 'exits with 1', ran);
  assert(ran.stdout === '' && /^[^\n]*22\.14[^\n]*\n$/.test(ran.stderr), 'says one line that names 22.14', ran);
}

async function stop(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = once(daemon, 'exit');
  daemon.kill('SIGKILL');
  await ended;
}

async function works(node: string, seed: string, folder: string): Promise<void> {
  const home = path.join(folder, 'home of a seed');
  const use = async (...args: string[]): Promise<Run> => run(node, [seed, ...args], folder, COMMAND_MS_MAX);
  const succeed = async (...args: string[]): Promise<Run> => {
    const ran = await use(...args);
    assert(ran.code === 0, `seed ${args.join(' ')}`, ran);
    return ran;
  };
  const atHome = ['--home', home] as const;

  assert(/^\d+\.\d+\.\d+/.test((await succeed('--version')).stdout), 'prints a version', await use('--version'));
  assert((await succeed('--help')).stdout.includes('receipts'), 'prints help', await use('--help'));
  JSON.parse((await succeed('init', ...atHome, '--json')).stdout);

  const daemon = spawn(node, [seed, 'up', ...atHome], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  daemon.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  try {
    const until = performance.now() + START_MS_MAX;
    while ((await use('status', ...atHome, '--json')).code !== 0) {
      if (daemon.exitCode !== null) throw new Error(`seed up ended with exit code ${daemon.exitCode}:\n${said}`);
      if (performance.now() > until) throw new Error(`seed up was not ready in ${START_MS_MAX} ms:\n${said}`);
      await sleep(POLL_MS);
    }
    JSON.parse((await succeed('receipts', 'list', ...atHome, '--json')).stdout);
    const exported = path.join(folder, 'exported receipts');
    await succeed('receipts', 'export', ...atHome, '--out', exported);
    await succeed('receipts', 'verify', exported, '--root', path.join(home, 'root', '1.json'));
    const ended = once(daemon, 'exit');
    await succeed('down', ...atHome);
    const code = await Promise.race([ended.then(() => daemon.exitCode), sleep(START_MS_MAX, 'not at all')]);
    if (code !== 0) throw new Error(`after seed down, seed up ended with: ${code}\n${said}`);
  } finally {
    await stop(daemon);
  }
}

async function tryOne(folder: string, seed: string, version: string): Promise<boolean> {
  const startMs = performance.now();
  const place = path.join(folder, `use-${version}`);
  mkdirSync(place);
  const isRefused = REFUSED.includes(version);
  let outcome = isRefused ? 'refused, as it must be' : 'works';
  let passed = true;
  try {
    const node = await installNode(folder, version);
    await (isRefused ? refuses : works)(node, seed, place);
  } catch (error) {
    passed = false;
    outcome = `FAILED\n${error instanceof Error ? error.message : String(error)}`;
  }
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  process.stdout.write(`Node ${version.padEnd(6)} ${seconds} s  ${outcome}\n`);
  return passed;
}

async function main(wanted: readonly string[]): Promise<number> {
  if (!existsSync(path.join(ROOT, 'dist'))) throw new Error('Nothing is built; start this by `npm run test:matrix`.');
  const folder = mkdtempSync(path.join(tmpdir(), 'seed-matrix-'));
  let passed = 0;
  let failed = 0;
  try {
    const seed = await installPacked(folder);
    for (const version of wanted.length === 0 ? [...SUPPORTED, ...REFUSED] : wanted) {
      if (await tryOne(folder, seed, version)) passed += 1;
      else failed += 1;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${closingLine({ passed, failed, skipped: 0 })}\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
