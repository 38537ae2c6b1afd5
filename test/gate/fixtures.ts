/**
 * Code that breaks exactly one rule of the gate each, as data: the lint's in LINT_FIXTURES, a whole
 * clean project in CLEAN.
 */

type Files = Readonly<Record<string, string>>;

export interface LintFixture {
  /** The rule that must find it, as the lint names it. */
  readonly rule: string;
  /** What is wrong, in a few words. */
  readonly what: string;
  /** The file that must be found guilty. */
  readonly file: string;
  readonly text: string;
}

/** A project of one function a floor, correct in every way; fixtures import from it. */
export const CLEAN: Files = {
  'src/errors.ts': `export class SeedError extends Error {}\n`,
  'src/formats/bytes.ts': `export function count(text: string): number {\n  return new TextEncoder().encode(text).length;\n}\n`,
  'src/formats/digest.ts': `import { sha256 } from '@noble/hashes/sha2.js';\nimport { count } from './bytes.ts';\n\nexport function digest(text: string): number {\n  return count(text) + sha256(new Uint8Array(1)).length;\n}\n`,
  'src/substrate/sources.ts': `import { randomUUID } from 'node:crypto';\n\nexport const newId = (): string => randomUUID();\nexport const nowMs = (): number => Date.now();\n`,
  'src/substrate/store/driver.ts': `import { createRequire } from 'node:module';\nimport Database from 'better-sqlite3';\n\nconst require = createRequire(import.meta.url);\n\nexport function open(file: string): unknown {\n  return file === '' ? require('node:sqlite') : new Database(file);\n}\n`,
  'src/substrate/home/lock.ts': `import { DatabaseSync } from 'node:sqlite';\n\nexport const lock = (): DatabaseSync => new DatabaseSync(':memory:');\n`,
  'src/mind/think.ts': `import { digest } from '../formats/digest.ts';\nimport { newId, nowMs } from '../substrate/sources.ts';\n\n/** A \`fetch\` that was handed in, and a date that was given, are nobody's business. */\nexport async function think(fetch: typeof globalThis.fetch, atMs: number): Promise<string> {\n  const answer = await fetch('http://localhost');\n  return [answer.status, new Date(atMs).toISOString(), digest(''), newId(), nowMs()].join(' ');\n}\n`,
  'src/membrane/egress.ts': `export const egress = async (url: string): Promise<Response> => fetch(url);\n`,
  'src/membrane/scopes.ts': `export type Scope = 'memory.read';\n`,
  'src/tools/ask.ts': `import type { Scope } from '../membrane/scopes.ts';\nimport { think } from '../mind/think.ts';\n\nexport const ask = { scope: 'memory.read' satisfies Scope, run: think };\n`,
  'src/doors/http.ts': `import { SeedError } from '../errors.ts';\nimport { ask } from '../tools/ask.ts';\n\nconst { createServer } = process.getBuiltinModule('node:http');\n\nexport function serve(): string {\n  if (createServer().listening) throw new SeedError(ask.scope);\n  return ask.scope;\n}\n`,
  'src/config.ts': `export const home = (): string | undefined => process.env['SEED_HOME'];\n`,
  'src/main.ts': `import { home } from './config.ts';\nimport { serve } from './doors/http.ts';\nimport { egress } from './membrane/egress.ts';\nimport { lock } from './substrate/home/lock.ts';\nimport { open } from './substrate/store/driver.ts';\n\nexport const wire = (): unknown[] => [home(), serve(), egress, lock(), open(''), Date.now()];\n`,
  'src/cli/cli.ts': `import { wire } from '../main.ts';\n\nexport async function main(argv: readonly string[]): Promise<number> {\n  process.stdout.write(\`\${argv.length} \${wire().length}\\n\`);\n  console.log(Math.random() < 1 ? 'done' : 'never');\n  return Promise.resolve(0);\n}\n`,
  'test/clean.test.ts': `import { expect, test } from 'vitest';\nimport { main } from '../src/cli/cli.ts';\n\ntest('there is a program', () => {\n  expect(main).toBeTypeOf('function');\n});\n`,
};

const value = 'export const value: unknown =';

function broken(rule: string, what: string, file: string, text: string): LintFixture {
  return { rule, what, file, text };
}

export const LINT_FIXTURES: readonly LintFixture[] = [
  // type-aware
  broken(
    'typescript(no-floating-promises)',
    'a promise nobody waits for',
    'src/mind/bad-floating.ts',
    `import { think } from './think.ts';\n\nexport function forget(): void {\n  think(fetchNothing, 0);\n}\n\nasync function fetchNothing(): Promise<Response> {\n  return Promise.resolve(new Response());\n}\n`,
  ),
  broken(
    'typescript(no-misused-promises)',
    'an async function where a plain one is called',
    'src/mind/bad-misused.ts',
    `export function each(list: readonly string[], act: (text: string) => Promise<void>): void {\n  list.forEach(async (text) => {\n    await act(text);\n  });\n}\n`,
  ),
  broken(
    'typescript(await-thenable)',
    'waiting for what is no promise',
    'src/mind/bad-await.ts',
    `export async function two(one: number): Promise<number> {\n  return (await one) + (await Promise.resolve(1));\n}\n`,
  ),
  broken('typescript(no-explicit-any)', 'any', 'src/mind/bad-any.ts', `export type Anything = any;\n`),
  broken(
    'typescript(switch-exhaustiveness-check)',
    'a case that was forgotten',
    'src/mind/bad-switch.ts',
    `export function sign(kind: 'plus' | 'minus'): number {\n  switch (kind) {\n    case 'plus':\n      return 1;\n  }\n  return -1;\n}\n`,
  ),
  // floors: one arrow up from every floor, and the ways to write it
  broken(
    'seed(floors)',
    'substrate → mind',
    'src/substrate/bad-up.ts',
    `import { think } from '../mind/think.ts';\n\n${value} think;\n`,
  ),
  broken(
    'seed(floors)',
    'mind → tools',
    'src/mind/bad-tools.ts',
    `import { ask } from '../tools/ask.ts';\n\n${value} ask;\n`,
  ),
  broken(
    'seed(floors)',
    'mind → membrane, only a type',
    'src/mind/bad-type.ts',
    `import type { Scope } from '../membrane/scopes.ts';\n\nexport type Mine = Scope;\n`,
  ),
  broken(
    'seed(floors)',
    'membrane → tools',
    'src/membrane/bad-tools.ts',
    `import { ask } from '../tools/ask.ts';\n\n${value} ask;\n`,
  ),
  broken('seed(floors)', 'tools → doors', 'src/tools/bad-doors.ts', `export { serve } from '../doors/http.ts';\n`),
  broken(
    'seed(floors)',
    'doors → cli',
    'src/doors/bad-cli.ts',
    `import { main } from '../cli/cli.ts';\n\n${value} main;\n`,
  ),
  broken('seed(floors)', 'doors → main', 'src/doors/bad-main.ts', `export * from '../main.ts';\n`),
  broken(
    'seed(floors)',
    'errors → formats',
    'src/errors.ts',
    `import { count } from './formats/bytes.ts';\n\nexport class SeedError extends Error {\n  readonly length: number = count(this.message);\n}\n`,
  ),
  broken(
    'seed(floors)',
    'up by import()',
    'src/substrate/bad-dynamic.ts',
    `export const later = async (): Promise<unknown> => import('../doors/http.ts');\n`,
  ),
  broken(
    'seed(floors)',
    'up by an import() type',
    'src/substrate/bad-import-type.ts',
    `export type Serve = typeof import('../doors/http.ts').serve;\n`,
  ),
  broken(
    'seed(floors)',
    'an import that is computed',
    'src/doors/bad-computed.ts',
    `export const load = async (name: string): Promise<unknown> => import(name);\n`,
  ),
  broken('seed(floors)', 'a folder on no floor', 'src/helpers/bad-floor.ts', `${value} 1;\n`),
  broken(
    'seed(floors)',
    'out of src/',
    'src/doors/bad-outside.ts',
    `import { lonely } from '../../test/lonely.ts';\n\n${value} lonely;\n`,
  ),
  broken(
    'seed(floors)',
    'configuration below main',
    'src/doors/bad-config.ts',
    `import { home } from '../config.ts';\n\n${value} home;\n`,
  ),
  broken(
    'import(no-cycle)',
    'a cycle',
    'src/mind/bad-cycle-a.ts',
    `import { b } from './bad-cycle-b.ts';\n\nexport const a = (): unknown => b;\n`,
  ),
  broken(
    'import(no-cycle)',
    'a cycle, other half',
    'src/mind/bad-cycle-b.ts',
    `import { a } from './bad-cycle-a.ts';\n\nexport const b = (): unknown => a;\n`,
  ),
  // the portable kernel
  broken(
    'seed(portable-formats)',
    'a Node module',
    'src/formats/bad-node.ts',
    `import { sep } from 'node:path';\n\n${value} sep;\n`,
  ),
  broken('seed(portable-formats)', 'Buffer', 'src/formats/bad-buffer.ts', `${value} Buffer.from('');\n`),
  broken('seed(portable-formats)', 'process', 'src/formats/bad-process.ts', `${value} process.platform;\n`),
  broken(
    'seed(portable-formats)',
    'errors.ts',
    'src/formats/bad-errors.ts',
    `import { SeedError } from '../errors.ts';\n\n${value} SeedError;\n`,
  ),
  broken(
    'seed(portable-formats)',
    'another package',
    'src/formats/bad-package.ts',
    `import { z } from 'zod';\n\n${value} z;\n`,
  ),
  // one place each
  broken('seed(environment-in-config)', 'process.env', 'src/doors/bad-env.ts', `${value} process.env['HOME'];\n`),
  broken(
    'seed(environment-in-config)',
    'process.env in the CLI',
    'src/cli/bad-env.ts',
    `const { env } = process;\n\n${value} env;\n`,
  ),
  broken(
    'seed(environment-in-config)',
    'env of node:process',
    'src/tools/bad-env-import.ts',
    `import { env } from 'node:process';\n\n${value} env;\n`,
  ),
  broken(
    'seed(output-in-cli)',
    'console',
    'src/doors/bad-console.ts',
    `export function say(): void {\n  console.error('hello');\n}\n`,
  ),
  broken('seed(output-in-cli)', 'process.stdout', 'src/tools/bad-stdout.ts', `${value} process.stdout.isTTY;\n`),
  broken('seed(network-in-egress)', 'fetch', 'src/mind/bad-fetch.ts', `${value} fetch('http://localhost');\n`),
  broken(
    'seed(network-in-egress)',
    'fetch by the back door',
    'src/membrane/bad-fetch.ts',
    `${value} globalThis.fetch;\n`,
  ),
  broken(
    'seed(network-in-egress)',
    'a request of node:http',
    'src/doors/bad-request.ts',
    `import http from 'node:http';\n\n${value} http.request('http://localhost');\n`,
  ),
  broken(
    'seed(network-in-egress)',
    'a request of a module taken from the process',
    'src/mind/bad-builtin-request.ts',
    `const { request } = process.getBuiltinModule('node:http');\n\n${value} request('http://localhost');\n`,
  ),
  broken(
    'seed(network-in-egress)',
    'the same under another name',
    'src/doors/bad-builtin-alias.ts',
    `const http = globalThis.process.getBuiltinModule('https');\n\n${value} http.get('http://localhost');\n`,
  ),
  broken(
    'seed(network-in-egress)',
    'a module taken from the process and handed on',
    'src/tools/bad-builtin-handed.ts',
    `${value} Object.values(process.getBuiltinModule('node:tls'));\n`,
  ),
  broken(
    'seed(network-in-egress)',
    'a request of an imported module, taken apart later',
    'src/doors/bad-later.ts',
    `import http from 'node:http';\n\nconst { request } = http;\n${value} request;\n`,
  ),
  broken(
    'seed(network-in-egress)',
    'a request by import()',
    'src/mind/bad-import-request.ts',
    `${value} (await import('node:http')).request('http://localhost');\n`,
  ),
  broken(
    'seed(network-in-egress)',
    'a look-up of a name',
    'src/mind/bad-lookup.ts',
    `import { lookup } from 'node:dns/promises';\n\n${value} lookup;\n`,
  ),
  broken('seed(network-in-egress)', 'undici itself', 'src/mind/bad-undici.ts', `${value} import('undici');\n`),
  broken(
    'seed(network-in-egress)',
    'a file of undici',
    'src/mind/bad-undici-file.ts',
    `${value} import('undici/lib/dispatcher/agent.js');\n`,
  ),
  broken('seed(chance-in-sources)', 'Date.now()', 'src/substrate/bad-now.ts', `${value} Date.now();\n`),
  broken('seed(chance-in-sources)', 'new Date()', 'src/mind/bad-date.ts', `${value} new Date();\n`),
  broken('seed(chance-in-sources)', 'Math.random()', 'src/formats/bad-random.ts', `${value} Math.random();\n`),
  broken(
    'seed(chance-in-sources)',
    'randomUUID of node:crypto',
    'src/substrate/bad-uuid.ts',
    `import { randomUUID } from 'node:crypto';\n\n${value} randomUUID();\n`,
  ),
  broken(
    'seed(chance-in-sources)',
    'randomBytes of the whole module',
    'src/doors/bad-bytes.ts',
    `import * as secrets from 'node:crypto';\n\n${value} secrets.randomBytes(1);\n`,
  ),
  broken(
    'seed(chance-in-sources)',
    'the global crypto',
    'src/membrane/bad-crypto.ts',
    `${value} crypto.randomUUID();\n`,
  ),
  broken(
    'seed(sql-in-store)',
    'a driver outside the store',
    'src/substrate/bad-driver.ts',
    `import Database from 'better-sqlite3';\n\n${value} Database;\n`,
  ),
  broken(
    'seed(sql-in-store)',
    'a driver by require',
    'src/cli/bad-driver.ts',
    `import { createRequire } from 'node:module';\n\n${value} createRequire(import.meta.url)('node:sqlite');\n`,
  ),
  broken(
    'seed(sql-in-store)',
    'a driver from the process',
    'src/membrane/bad-builtin-driver.ts',
    `${value} process.getBuiltinModule('node:sqlite');\n`,
  ),
];
