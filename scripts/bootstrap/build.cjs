/**
 * Builds dist/ from src/, when what goes in has changed or what came out has been touched.
 *
 * The compiler writes into a fresh folder; only files that differ are then moved into place, each
 * in one step, so that a build beside a running seed disturbs nothing that did not change.
 */
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { runChild, exitCodeOf } = require('./child.cjs');
const { distrust } = require('./install.cjs');
const {
  ROOT,
  MODULES,
  CACHE,
  NODE,
  Explained,
  refusalOf,
  say,
  readText,
  writeWhole,
  listFiles,
  hashFiles,
} = require('./project.cjs');

const SOURCE = path.join(ROOT, 'src');
const DIST = path.join(ROOT, 'dist');
const STAMP = path.join(CACHE, 'built');
const SETTINGS = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

function wantedStamp() {
  const inputs = [...listFiles(SOURCE).map((file) => path.join('src', file)), ...SETTINGS];
  return `${hashFiles(ROOT, inputs)} ${hashFiles(DIST, listFiles(DIST))}\n`;
}

function isBuilt() {
  return fs.existsSync(DIST) && readText(STAMP) === wantedStamp();
}

/** @param {string} left @param {string} right */
function isSame(left, right) {
  return fs.existsSync(right) && fs.readFileSync(left).equals(fs.readFileSync(right));
}

/**
 * Makes `target` hold exactly what `fresh` holds.
 * @param {string} fresh
 * @param {string} target
 */
function moveInto(fresh, target) {
  const files = listFiles(fresh);
  for (const file of files) {
    const from = path.join(fresh, file);
    const to = path.join(target, file);
    if (isSame(from, to)) continue;
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.renameSync(from, to);
  }
  const wanted = new Set(files);
  for (const file of listFiles(target)) {
    if (!wanted.has(file)) fs.rmSync(path.join(target, file));
  }
}

/**
 * Data files beside the sources (SQL, JSON, text) belong to the program as much as its code.
 * @param {string} target
 */
function copyData(target) {
  for (const file of listFiles(SOURCE)) {
    if (/\.[cm]?ts$/.test(file)) continue;
    fs.mkdirSync(path.join(target, path.dirname(file)), { recursive: true });
    fs.copyFileSync(path.join(SOURCE, file), path.join(target, file));
  }
}

/**
 * Brings dist/ up to date. To be called while holding the lock.
 * @param {(pid: number) => void} onStart
 */
async function build(onStart) {
  if (isBuilt()) return;
  say('building…');
  const fresh = path.join(CACHE, `build-${process.pid}`);
  fs.rmSync(STAMP, { force: true });
  fs.rmSync(fresh, { recursive: true, force: true });
  fs.mkdirSync(fresh, { recursive: true });
  try {
    const compiler = path.join(MODULES, 'typescript', 'bin', 'tsc');
    const args = [compiler, '--project', 'tsconfig.build.json', '--outDir', fresh, '--pretty', 'false'];
    // Hashed before the compiler reads them: an edit during the build must make the stamp wrong.
    const before = wantedStamp().split(' ')[0];
    const ended = await runChild(NODE, args, { cwd: ROOT, capture: true, onStart });
    if (ended.interrupted !== null)
      throw new Explained('Stopped before the build was done.', exitCodeOf(ended.interrupted));
    if (ended.code !== 0) throw buildFailed(ended.output.trim());
    copyData(fresh);
    moveInto(fresh, DIST);
    writeWhole(STAMP, `${before} ${hashFiles(DIST, listFiles(DIST))}\n`);
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
  }
}

/**
 * Code that does not compile, or a package that is not whole any more: the compiler, or one that it
 * looks for in vain.
 * @param {string} output
 */
function buildFailed(output) {
  if (!/error TS\d+:/.test(output)) {
    const why = output.split('\n').find((line) => /error/i.test(line)) ?? 'no reason given';
    return refusalOf(output, ROOT) ?? distrust(`The compiler in node_modules does not run (${why.trim()}).`);
  }
  const missing = /error TS(?:2307|7016): .*? module '((?:@[^'/]+\/)?[^'./][^'/]*)/.exec(output)?.[1];
  if (missing !== undefined && fs.existsSync(path.join(MODULES, missing)))
    return distrust(`The package ${missing} in node_modules is not whole.`);
  return new Explained(`${output}\nThe build failed; see above.`);
}

module.exports = { build, isBuilt };
