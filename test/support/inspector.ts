/**
 * The MCP Inspector's command line. It takes 110 MB with what it needs, too much for a development dependency:
 * a test that wants it installs it once, into the project's cache.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { startNode } from './child.ts';

const INSPECTOR = '@modelcontextprotocol/inspector';
const VERSION = '2.12.0';
const CACHE = path.resolve(import.meta.dirname, '..', '..', 'node_modules', '.cache');
const FOLDER = path.join(CACHE, `inspector-${VERSION}`);
const LAUNCHER = path.join(FOLDER, 'node_modules', INSPECTOR, 'clients', 'launcher', 'build', 'index.js');
const INSTALL_MS_MAX = 120_000;

/** Puts it in its place where it is not there yet; resolves to why it could not be had, or null. */
export async function installInspector(): Promise<string | null> {
  if (existsSync(LAUNCHER)) return null;
  mkdirSync(CACHE, { recursive: true });
  // Made beside its place and moved there whole: two tests may do this at once, and either may be cut off.
  const made = mkdtempSync(path.join(CACHE, 'installing-'));
  try {
    // Its install script has nothing to do there.
    const args = ['install', '--prefix', made, '--ignore-scripts', '--no-audit', '--no-fund', '--no-save'];
    await promisify(execFile)('npm', [...args, `${INSPECTOR}@${VERSION}`], { timeout: INSTALL_MS_MAX });
    if (!existsSync(LAUNCHER)) renameSync(made, FOLDER);
    return null;
  } catch (error) {
    if (existsSync(LAUNCHER)) return null;
    return `${INSPECTOR} could not be installed: ${(error as Error).message.slice(0, 300)}`;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

export interface Inspected {
  readonly code: number | null;
  readonly result: Readonly<Record<string, unknown>>;
  readonly errors: string;
}

/** Runs it once, with the given arguments of its command line. */
export async function inspect(args: readonly string[]): Promise<Inspected> {
  await using inspector = startNode([LAUNCHER, '--cli', ...args, '--format', 'json']);
  const { code } = await inspector.ended;
  const answer = inspector.lines.find((line) => line.startsWith('{"result"'));
  const { result = {} } = JSON.parse(answer ?? '{}') as { result?: Inspected['result'] };
  return { code, result, errors: inspector.errors() };
}
