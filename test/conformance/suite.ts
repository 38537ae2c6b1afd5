/** Runs the MCP conformance suite (`@modelcontextprotocol/conformance`) against a server. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { startNode } from '../support/child.ts';

const SUITE = path.join(
  path.dirname(fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/package.json'))),
  'dist',
  'index.js',
);

export type Revision = '2025-11-25' | '2026-07-28';

export interface Verdict {
  readonly code: number | null;
  /** How many checks passed. */
  readonly passed: number;
  /** What the suite says of scenarios that went otherwise than expected; for whoever reads a failure. */
  readonly complaints: readonly string[];
}

/**
 * @param expected a file that names the scenarios that may fail; one that does not fail is a
 *   complaint too
 */
export async function runSuite(url: string, revision: Revision, expected: string | null): Promise<Verdict> {
  const expectation = expected === null ? [] : ['--expected-failures', path.join(import.meta.dirname, expected)];
  await using suite = startNode([SUITE, 'server', '--url', url, '--requirements', revision, ...expectation]);
  const { code } = await suite.ended;
  const lines = suite.lines.map((line) => stripVTControlCharacters(line));
  const total = lines.map((line) => /^Total: (\d+) passed/.exec(line)?.[1]).find((found) => found !== undefined);
  const summary = lines.slice(lines.findIndex((line) => line.includes('SUMMARY')));
  return {
    code,
    passed: Number(total ?? 0),
    complaints: code === 0 ? [] : [...summary.filter((line) => !line.startsWith('✓')), suite.errors()],
  };
}
