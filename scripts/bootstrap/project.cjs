/** Where things are in the project, and the few file helpers that the bootstrap shares. */
'use strict';

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');
const MODULES = path.join(ROOT, 'node_modules');
const CACHE = path.join(ROOT, '.cache');
/** The project's own Node, brought by the devDependency `node`. */
const NODE = path.join(MODULES, 'node', 'bin', 'node');

/** A failure that is explained by its message; shown without a stack. */
class Explained extends Error {
  /** @param {string} message @param {number} [exitCode] */
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Progress goes to stderr: stdout belongs to the command that follows.
 * @param {string} line
 */
function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * The `code` of a failed system call, or the text of anything else.
 * @param {unknown} error
 * @returns {string}
 */
function codeOf(error) {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : String(error);
}

/** How a file system says that something is not ours to touch, or that it is full (errno(3)). */
const FORBIDDEN = /\b(EACCES|EPERM|EROFS)\b/;
const FULL = /\b(ENOSPC|EDQUOT)\b/;

const FREE_BYTES_MIN = 8 * 1024 * 1024;

/** npm does not always say what it was that it lacked. */
function isFull() {
  const { bavail, bsize } = fs.statfsSync(ROOT);
  return bavail * bsize < FREE_BYTES_MIN;
}

/**
 * What a file system refuses, as one line with what to do; null for anything else.
 * @param {string} text An error's code, or what a program printed before it gave up.
 * @param {string} place
 */
function refusalOf(text, place) {
  if (FULL.test(text) || isFull()) {
    return new Explained(
      `There is no space left for ${place}.\nFree about 1 GB and start again; what is half done is done anew.`,
    );
  }
  const forbidden = FORBIDDEN.exec(text);
  if (forbidden === null) return null;
  return new Explained(
    `${place} cannot be used by this user (${forbidden[1]}).\nStart as the user whose checkout it is, or in a clone of your own.`,
  );
}

/**
 * Any failure as it is shown.
 * @param {unknown} error
 */
function explain(error) {
  if (error instanceof Explained || !(error instanceof Error)) return error;
  const place = 'path' in error && typeof error.path === 'string' ? error.path : ROOT;
  return refusalOf(codeOf(error), place) ?? error;
}

/**
 * The text of a file, or null where there is none.
 * @param {string} file
 */
function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return null;
    throw error;
  }
}

/**
 * Writes a file so that a reader sees the old text or the new one, never half of it.
 * @param {string} file
 * @param {string} content
 */
function writeWhole(file, content) {
  const fresh = `${file}.${process.pid}.new`;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(fresh, content);
  fs.renameSync(fresh, file);
}

/**
 * Every file below a folder, as sorted relative paths; none where the folder is missing.
 * @param {string} folder
 */
function listFiles(folder) {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .toSorted();
}

/**
 * Hash over names and contents of files below a folder.
 * @param {string} folder
 * @param {readonly string[]} files
 */
function hashFiles(folder, files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const content = fs.readFileSync(path.join(folder, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

module.exports = {
  ROOT,
  MODULES,
  CACHE,
  NODE,
  Explained,
  refusalOf,
  explain,
  say,
  codeOf,
  readText,
  writeWhole,
  listFiles,
  hashFiles,
};
