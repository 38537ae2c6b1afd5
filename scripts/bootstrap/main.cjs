/**
 * Installs and builds what is missing, then runs what was asked for on the project's own Node.
 *
 *   node scripts/run.cjs install
 *   node scripts/run.cjs build
 *   node scripts/run.cjs seed ARGS…         the command line of the seed, built first
 *   node scripts/run.cjs node FILE ARGS…    a script of the project, TypeScript as it is
 */
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { build, isBuilt } = require('./build.cjs');
const { runChild } = require('./child.cjs');
const { install, isInstalled, distrust } = require('./install.cjs');
const { withLock } = require('./lock.cjs');
const { ROOT, MODULES, NODE, Explained, explain, say, codeOf } = require('./project.cjs');

/** @param {boolean} alsoBuild */
async function prepare(alsoBuild) {
  // Looked at first without the lock: the usual start writes nothing, so a read-only checkout works.
  if (isInstalled() && (!alsoBuild || isBuilt())) return;
  await withLock(async (onStart) => {
    await install(onStart);
    if (alsoBuild) await build(onStart);
  });
}

/** @param {readonly string[]} args @param {import('node:child_process').SpawnOptions} [options] */
async function runOnOwnNode(args, { env, ...options } = {}) {
  const search = [path.join(MODULES, '.bin'), process.env['PATH']].filter(Boolean).join(path.delimiter);
  const ended = await runChild(NODE, args, { ...options, env: { ...process.env, ...env, PATH: search } }).catch(
    (error) => {
      throw distrust(`The project’s own Node cannot be started (${codeOf(error)}).`);
    },
  );
  if (ended.signal !== null) process.kill(process.pid, ended.signal);
  return ended.code ?? 1;
}

/**
 * The seed as its user sees it: there is no `seed` on the PATH of a checkout, so texts say what to
 * type instead, and names of files are meant from where npm was called.
 * @param {readonly string[]} args
 */
async function runSeed(args) {
  const byNpm = process.env['npm_lifecycle_event'] !== undefined;
  const cwd = (byNpm ? process.env['INIT_CWD'] : undefined) ?? process.cwd();
  return runOnOwnNode([path.join(ROOT, 'bin', 'seed.cjs'), ...args], {
    cwd,
    env: { SEED_COMMAND: process.env['SEED_COMMAND'] ?? 'npm run -s seed --' },
  });
}

/** @param {readonly string[]} argv */
async function main([what, ...args]) {
  switch (what) {
    case 'install':
      await prepare(false);
      return 0;
    case 'build':
      await prepare(true);
      return 0;
    case 'seed':
      await prepare(true);
      return runSeed(args);
    case 'node':
      if (!fs.existsSync(path.join(ROOT, args[0] ?? ''))) throw new Explained(`${args[0]} does not exist.`);
      await prepare(false);
      return runOnOwnNode([path.join(ROOT, args[0] ?? ''), ...args.slice(1)]);
    default:
      throw new Explained('Usage: node scripts/run.cjs install | build | seed ARGS… | node FILE ARGS…', 2);
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (/** @type {unknown} */ thrown) => {
    const error = explain(thrown);
    if (error instanceof Explained) say(error.message);
    else say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exitCode = error instanceof Explained ? error.exitCode : 1;
  },
);
