/** The only reader of the environment: what the process was told, checked, as plain values. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { SeedError } from './errors.ts';
import type { Secrets } from './substrate/home/credentials.ts';
import { CREDENTIAL_VARIABLES } from './substrate/home/credentials.ts';
import { isLoopbackUrl } from './substrate/origins.ts';
import { parsePublicUrl } from './substrate/switches.ts';

export interface Config {
  /** The program's version. */
  readonly version: string;
  /** The home's folder, absolute. */
  readonly home: string;
  /** The HTTP door's port for a home that is made now; 0 picks a free one, null leaves it to the program. */
  readonly port: number | null;
  /** Which SQLite driver to use; null picks the native one where it loads. */
  readonly sqlite: 'native' | 'node' | null;
  /** The user's own runtime folder, where the platform has one. */
  readonly runtimeFolder: string | null;
  /** The address behind a proxy to pin now; null leaves what was pinned before. */
  readonly publicUrl: URL | null;
  /** Where an Ollama on this machine answers, if the environment says so as Ollama itself reads it. */
  readonly ollama: string | null;
  /** How the user calls the program, for texts that say what to type: `seed`, or `npm run -s seed --`. */
  readonly command: string;
  /** A named point at which the process kills itself, for tests: `point` or `point:nth`. */
  readonly fault: { readonly point: string; readonly nth: number } | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The package's version, read from its own manifest: beside `src/` and beside `dist/` alike. */
function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return manifest.version;
}

function invalid(name: string, expected: string): SeedError {
  return new SeedError('invalid_input', `${name} must be ${expected}.`, {
    hint: `Correct or unset ${name}.`,
    data: { argument: name },
  });
}

/** The platform's folder for a program's data (XDG Base Directory; Apple's File System Basics). */
function dataFolder(env: Environment, platform: NodeJS.Platform): string {
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support');
  const xdg = env['XDG_DATA_HOME'];
  return xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.local', 'share');
}

function readPort(env: Environment): number | null {
  const text = env['SEED_PORT'];
  if (text === undefined || text === '') return null;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw invalid('SEED_PORT', 'a port from 0 to 65535');
}

function readPublicUrl(behindProxy: boolean, env: Environment): URL | null {
  if (!behindProxy) return null;
  const url = parsePublicUrl(env['SEED_PUBLIC_URL'] ?? '');
  if (url !== null) return url;
  throw invalid('SEED_PUBLIC_URL', 'an https address without a path, such as https://seed.example.org');
}

function readDriver(env: Environment): Config['sqlite'] {
  const wanted = env['SEED_SQLITE'];
  if (wanted === undefined || wanted === '') return null;
  if (wanted === 'node' || wanted === 'native') return wanted;
  throw invalid('SEED_SQLITE', '"node" or "native"');
}

const OLLAMA_PORT = '11434';

/** `OLLAMA_HOST`: a host, a port, both, or an address; null unless it is on this machine. */
function readOllama(env: Environment): string | null {
  const told = env['OLLAMA_HOST']?.trim() ?? '';
  const url =
    told === '' ? null : URL.parse(told.includes('://') ? told : `http://${told.replace(/^:/, '127.0.0.1:')}`);
  if (url === null || url.protocol !== 'http:') return null;
  // What a server listens on; whoever speaks to it from here says where.
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]') url.hostname = '127.0.0.1';
  if (url.port === '' && !told.includes('://')) url.port = OLLAMA_PORT;
  return isLoopbackUrl(url) ? url.origin : null;
}

/** What the user types for `seed`; a checkout has no `seed` on the PATH, and its npm scripts say so here. */
export function readCommand(env: Environment = process.env): string {
  const told = env['SEED_COMMAND'] ?? '';
  return /^[\w ./-]{1,200}$/.test(told) ? told : 'seed';
}

function readFault(env: Environment): Config['fault'] {
  const match = /^([a-z.]+)(?::(\d+))?$/.exec(env['SEED_FAULT'] ?? '');
  return match === null ? null : { point: match[1] ?? '', nth: Number(match[2] ?? 1) };
}

/**
 * @param given what the command line says; it wins over the environment
 * @throws SeedError `invalid_input` that names the variable
 */
export function readConfig(
  given: { home?: string | undefined; behindProxy?: boolean | undefined } = {},
  env: Environment = process.env,
  platform: NodeJS.Platform = process.platform,
): Config {
  const chosen = given.home ?? env['SEED_HOME'];
  const runtime = env['XDG_RUNTIME_DIR'];
  return {
    version: packageVersion(),
    home: chosen === undefined || chosen === '' ? join(dataFolder(env, platform), 'sovereign-seed') : resolve(chosen),
    port: readPort(env),
    sqlite: readDriver(env),
    publicUrl: readPublicUrl(given.behindProxy === true, env),
    runtimeFolder: runtime !== undefined && isAbsolute(runtime) ? runtime : null,
    ollama: readOllama(env),
    command: readCommand(env),
    fault: readFault(env),
  };
}

/** The secrets among the environment's allow-listed names. Apart from the configuration, which may be shown. */
export function readSecrets(env: Environment = process.env): Secrets {
  // An editor that leaves a line break behind is no reason to refuse a key.
  const set = CREDENTIAL_VARIABLES.map((name) => [name, env[name]?.trim() ?? ''] as const);
  return Object.fromEntries(set.filter(([, value]) => value !== ''));
}

/** Where clients keep what was said, by their own rules: `CLAUDE_CONFIG_DIR` and `CODEX_HOME`, else below the home folder. */
export function readClientFolders(env: Environment = process.env): { readonly claude: string; readonly codex: string } {
  const folder = (told: string | undefined, usual: string): string =>
    told !== undefined && isAbsolute(told) ? told : join(homedir(), usual);
  return { claude: folder(env['CLAUDE_CONFIG_DIR'], '.claude'), codex: folder(env['CODEX_HOME'], '.codex') };
}

/** What a program that tells the owner needs to find its way: no credential is among them. */
const NOTIFIER_VARIABLES = [
  'PATH',
  'HOME',
  'USER',
  'LANG',
  'TMPDIR',
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'XAUTHORITY',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
] as const;

/** The environment of notifiers. */
export function readNotifierEnvironment(env: Environment = process.env): Readonly<Record<string, string>> {
  const set = NOTIFIER_VARIABLES.map((name) => [name, env[name] ?? ''] as const);
  return Object.fromEntries(set.filter(([, value]) => value !== ''));
}
