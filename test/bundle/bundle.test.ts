/** The MCP bundle: packed, unpacked, and run as a desktop client would run it. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { unpackExtension } from '@anthropic-ai/mcpb';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/child.ts';

const run = promisify(execFile);
const ROOT = path.join(import.meta.dirname, '..', '..');
const scratch = mkdtempSync(path.join(tmpdir(), 'seed-bundle-'));
const unpacked = path.join(scratch, 'extension');
const home = path.join(scratch, 'home');
/** As bare as a desktop's, but for a Node on it. */
const env = { PATH: `${path.join(scratch, 'bin')}:/usr/bin:/bin`, HOME: scratch, SEED_HOME: home, SEED_PORT: '0' };

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly tools: readonly { readonly name: string }[];
  readonly server: {
    readonly entry_point: string;
    readonly mcp_config: {
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Record<string, string>;
    };
  };
}

function readJson(...names: readonly string[]): Manifest {
  return JSON.parse(readFileSync(path.join(...names), 'utf8')) as Manifest;
}

beforeAll(async () => {
  const file = path.join(scratch, 'seed.mcpb');
  await run(process.execPath, [path.join(ROOT, 'scripts', 'bundle.ts'), file]);
  await unpackExtension({ mcpbPath: file, outputDir: unpacked, silent: true });
  mkdirSync(path.join(scratch, 'bin'));
  symlinkSync(process.execPath, path.join(scratch, 'bin', 'node'));
});

afterAll(async () => {
  const holder = path.join(home, 'lock.json');
  if (existsSync(holder)) {
    const { pid } = JSON.parse(readFileSync(holder, 'utf8')) as { pid: number };
    await run(process.execPath, [path.join(unpacked, 'bin', 'seed.cjs'), 'down'], { env });
    await until(() => !existsSync(`/proc/${pid}`), 'the end of the daemon');
  }
  rmSync(scratch, { recursive: true });
});

test('the manifest is the package’s: same name, same version', () => {
  const [manifest, own] = [readJson(unpacked, 'manifest.json'), readJson(ROOT, 'package.json')];
  expect([manifest.name, manifest.version]).toEqual([own.name, own.version]);
  expect(existsSync(path.join(unpacked, manifest.server.entry_point))).toBe(true);
});

test('no native module, no other package’s folder, no tests', () => {
  const files = globSync('**/*', { cwd: unpacked });
  expect(files.filter((file) => /\.node$|node_modules|\.test\.|\.ts$|better-sqlite3/.test(file))).toEqual([]);
  expect(files).toEqual(expect.arrayContaining(['LICENSE', 'THIRD-PARTY-LICENSES.txt', 'package.json']));
});

test('unpacked, and started as the manifest says, it serves a client', async () => {
  const { server, tools } = readJson(unpacked, 'manifest.json');
  const { command, args, env: set } = server.mcp_config;
  const client = new Client({ name: 'desktop', version: '1' });
  await client.connect(
    new StdioClientTransport({
      command,
      args: args.map((arg) => arg.replace('${__dirname}', unpacked)),
      env: { ...env, ...set },
      cwd: '/',
    }),
  );
  try {
    const listed = await client.listTools();
    expect(listed.tools.map(({ name }) => name)).toEqual(expect.arrayContaining(tools.map(({ name }) => name)));
    expect(await client.callTool({ name: 'seed_start' })).toMatchObject({
      structuredContent: { you: { name: 'claude-desktop' } },
    });
  } finally {
    await client.close();
  }
  const status = await run(process.execPath, [path.join(unpacked, 'bin', 'seed.cjs'), 'status', '--json'], { env });
  expect(JSON.parse(status.stdout)).toMatchObject({ serving: true, store: 'node:sqlite' });
});

test('a Node that is too old is passed over for one in a usual place', async () => {
  const old = path.join(scratch, 'old');
  const managed = path.join(scratch, '.nvm', 'versions', 'node', 'v24.0.0', 'bin');
  for (const folder of [old, managed]) mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(old, 'node'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  symlinkSync(process.execPath, path.join(managed, 'node'));
  const launcher = path.join(unpacked, 'bin', 'seed.sh');
  const { stdout } = await run('/bin/sh', [launcher, '--version'], { env: { ...env, PATH: old } });
  expect(stdout.trim()).toBe(readJson(ROOT, 'package.json').version);
});
