/**
 * Installs what package-lock.json names, once.
 *
 * A stamp inside node_modules says for which lock file it is complete. It is taken away before
 * anything is touched and put back at the very end, so an interrupted installation is redone.
 * Packages' own install scripts are never run, except the one that fetches the project's Node.
 */
'use strict';

const { execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { runChild, exitCodeOf } = require('./child.cjs');
const {
  ROOT,
  MODULES,
  CACHE,
  NODE,
  Explained,
  refusalOf,
  say,
  codeOf,
  readText,
  writeWhole,
} = require('./project.cjs');

const STAMP = path.join(MODULES, '.seed-installed');
/** npm's own note of what it put there; written last, and only by an npm that finished. */
const NPM_NOTE = path.join(MODULES, '.package-lock.json');
const OWN_NPM_CACHE = path.join(CACHE, 'npm');

/** Settings of an outer npm or of the user that would change what gets installed, or where. */
const FOREIGN_SETTINGS =
  /^npm_config_(omit|include|production|only|also|dev|optional|ignore_scripts|dry_run|global|location|prefix|local_prefix|package_lock|package_lock_only|workspaces?|force|json|loglevel|save.*|install_strategy|legacy_.*|os|cpu|libc)$/i;

function wantedStamp() {
  const lock = readText(path.join(ROOT, 'package-lock.json'));
  if (lock === null) throw new Explained('package-lock.json is missing; this is not a complete checkout.');
  const hash = createHash('sha256').update(lock).digest('hex');
  // With the size of the project's Node: half a program is run as a shell script, and fails as one.
  const { size = 0 } = fs.statSync(NODE, { throwIfNoEntry: false }) ?? {};
  return `${hash} ${process.platform} ${process.arch} ${size}\n`;
}

function isInstalled() {
  return readText(STAMP) === wantedStamp() && fs.existsSync(NODE) && areThere();
}

/** Whether every package that npm put there still has its manifest; a look at each, some milliseconds. */
function areThere() {
  const note = readText(NPM_NOTE);
  return note !== null && Object.keys(parsePackages(note)).every(hasManifest);
}

/** @param {string} where */
function hasManifest(where) {
  return fs.existsSync(path.join(ROOT, where, 'package.json'));
}

/**
 * Makes the next start install anew, and says so.
 * @param {string} what What was found to be broken.
 */
function distrust(what) {
  fs.rmSync(STAMP, { force: true });
  fs.rmSync(NPM_NOTE, { force: true });
  return new Explained(`${what}\nStart again: what is in node_modules is then installed anew.`);
}

/**
 * As much of a lock file as is compared.
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, devOptional?: boolean }} Entry
 * @param {string} text
 */
function parsePackages(text) {
  const { packages } = /** @type {{ packages: Record<string, Entry> }} */ (JSON.parse(text));
  return packages;
}

/** Whether node_modules, as somebody's npm left it, already is what the lock file asks for. */
function isComplete() {
  const note = readText(NPM_NOTE);
  if (note === null || !fs.existsSync(NODE)) return false;
  /** @type {Record<string, Entry>} */
  let have;
  try {
    have = parsePackages(note);
    execFileSync(NODE, ['--version'], { stdio: 'ignore', timeout: 20_000 });
  } catch {
    return false;
  }
  const want = parsePackages(readText(path.join(ROOT, 'package-lock.json')) ?? '{}');
  const isThere = (/** @type {[string, Entry]} */ [where, entry]) => {
    if (where === '') return true;
    const found = have[where];
    if (found === undefined) return entry.optional === true || entry.devOptional === true;
    const same = found.version === entry.version && found.integrity === entry.integrity;
    return same && hasManifest(where);
  };
  return Object.entries(want).every(isThere) && Object.keys(have).every((where) => where in want);
}

/** @param {string} folder */
function canWrite(folder) {
  const probe = path.join(folder, `.seed-probe-${process.pid}`);
  try {
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(probe, '');
    fs.rmSync(probe);
    return true;
  } catch {
    return false;
  }
}

/** npm's cache as it would be, or one inside the project where that cannot be written. */
function npmCache() {
  const home = process.env['HOME'] ?? process.env['USERPROFILE'];
  const given = process.env['npm_config_cache'] ?? (home ? path.join(home, '.npm') : undefined);
  return given !== undefined && path.isAbsolute(given) && canWrite(given) ? given : OWN_NPM_CACHE;
}

/** @param {string} file @param {string} folder */
function isInside(file, folder) {
  const relative = path.relative(folder, file);
  return relative === '' || (!relative.startsWith('..') && !path.isAbsolute(relative));
}

/**
 * The npm to run and the environment to run it in. Never the Node of the project itself, which is
 * about to be replaced.
 * @param {string} cache
 */
function findNpm(cache) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !FOREIGN_SETTINGS.test(name)));
  delete env['NODE_ENV'];
  const folders = (env['PATH'] ?? '').split(path.delimiter).filter((folder) => !isInside(folder || '.', MODULES));
  env['PATH'] = folders.join(path.delimiter);
  env['npm_config_cache'] = cache;
  env['npm_config_update_notifier'] = 'false';
  const script = process.env['npm_execpath'];
  const candidates = [
    process.env['npm_node_execpath'],
    process.execPath,
    ...folders.map((folder) => path.join(folder, 'node')),
  ];
  const node = candidates.find((file) => file !== undefined && !isInside(file, MODULES) && fs.existsSync(file));
  if (script !== undefined && path.basename(script) === 'npm-cli.js' && node !== undefined) {
    return { command: node, first: [script], env };
  }
  return { command: 'npm', first: [], env };
}

/**
 * @param {readonly string[]} args
 * @param {string} cache
 * @param {(pid: number) => void} onStart
 */
async function runNpm(args, cache, onStart) {
  const npm = findNpm(cache);
  const options = { cwd: ROOT, env: npm.env, capture: true, onStart };
  const quiet = ['--loglevel=error', '--no-audit', '--no-fund', '--no-progress'];
  const ended = await runChild(npm.command, [...npm.first, ...args, ...quiet], options).catch((error) => {
    throw new Explained(`npm could not be started (${codeOf(error)}).`);
  });
  if (ended.interrupted !== null)
    throw new Explained('Stopped before the installation was done.', exitCodeOf(ended.interrupted));
  return ended;
}

/**
 * Resolves to the step that failed, or null.
 * @param {string} cache
 * @param {(pid: number) => void} onStart
 */
async function runSteps(cache, onStart) {
  const steps = [
    ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--global=false'],
    ['rebuild', 'node', '--ignore-scripts=false', '--foreground-scripts', '--global=false'],
  ];
  for (const step of steps) {
    const ended = await runNpm(step, cache, onStart);
    if (ended.code !== 0) return ended;
  }
  return null;
}

/**
 * Brings node_modules up to date. To be called while holding the lock.
 * @param {(pid: number) => void} onStart
 */
async function install(onStart) {
  if (isInstalled()) return;
  if (!isComplete()) {
    say(`installing (${fs.existsSync(MODULES) ? 'again' : 'first time'}, about 30 s)…`);
    fs.rmSync(STAMP, { force: true });
    fs.rmSync(NPM_NOTE, { force: true });
    let cache = npmCache();
    let failed = await runSteps(cache, onStart);
    if (failed !== null && cache !== OWN_NPM_CACHE && /\b(EACCES|EPERM|EROFS|ENOSPC|EDQUOT)\b/.test(failed.output)) {
      // A cache that is only partly writable, often after an npm run as root.
      cache = OWN_NPM_CACHE;
      failed = await runSteps(cache, onStart);
    }
    if (failed !== null) {
      const refusal = refusalOf(failed.output, MODULES);
      if (refusal !== null) throw refusal;
      throw new Explained(
        `${failed.output.trim()}\nThe installation failed (npm, exit code ${failed.code}); see above.`,
      );
    }
    if (cache === OWN_NPM_CACHE) fs.rmSync(cache, { recursive: true, force: true });
    if (!isComplete())
      throw new Explained('The installation ended, but node_modules is not what package-lock.json asks for.');
  }
  writeWhole(STAMP, wantedStamp());
}

module.exports = { install, isInstalled, distrust };
