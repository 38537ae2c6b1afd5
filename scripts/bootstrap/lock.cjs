/**
 * One installer and builder at a time: a lock file that names its holder, kept fresh while held.
 *
 * A lock counts as left behind when its holder's processes are gone (same host), or when it has not
 * been touched for STALE_MS (another host or container sharing the folder, whose processes cannot be seen).
 */
'use strict';

const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { CACHE, Explained, codeOf, readText, say } = require('./project.cjs');

const FILE = path.join(CACHE, 'bootstrap.lock');
const POLL_MS = 200;
const TOUCH_MS = 2_000;
const STALE_MS = 20_000;
const WAIT_MAX_MS = 15 * 60_000;

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/**
 * @typedef {{ id: string, host: string, pids: number[] }} Holder
 * @param {string} text
 * @returns {Holder | null}
 */
function parseHolder(text) {
  try {
    const holder = /** @type {Holder} */ (JSON.parse(text));
    return Array.isArray(holder.pids) ? holder : null;
  } catch {
    return null;
  }
}

/** @param {string} text */
function isLeftBehind(text) {
  const holder = parseHolder(text);
  if (holder !== null && holder.host === os.hostname() && !holder.pids.some(isAlive)) return true;
  const touched = fs.statSync(FILE, { throwIfNoEntry: false })?.mtimeMs;
  return touched !== undefined && Date.now() - touched > STALE_MS;
}

/**
 * Takes a left-behind lock out of the way; if it turns out to be a fresh one, puts it back.
 * @param {string} judged The text that was found to be left behind.
 */
function clearLeftBehind(judged) {
  const aside = `${FILE}.${randomUUID()}`;
  try {
    fs.renameSync(FILE, aside);
  } catch {
    return;
  }
  if (readText(aside) !== judged) {
    try {
      fs.linkSync(aside, FILE);
    } catch {
      // Somebody holds a newer one already.
    }
  }
  fs.rmSync(aside, { force: true });
}

/** @param {string} text */
function tryTake(text) {
  // Written aside and linked into place, so that nobody ever reads a lock without its holder.
  const fresh = `${FILE}.${randomUUID()}`;
  try {
    fs.writeFileSync(fresh, text);
    fs.linkSync(fresh, FILE);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    fs.rmSync(fresh, { force: true });
  }
}

/**
 * Runs `work` while holding the lock. `work` gets a function that adds a child process to the
 * holders, so that a lock outlives a killed bootstrap for as long as its npm still writes.
 *
 * @template T
 * @param {(onStart: (pid: number) => void) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function withLock(work) {
  const pids = [process.pid];
  const id = randomUUID();
  const content = () => JSON.stringify({ id, host: os.hostname(), pids });
  fs.mkdirSync(CACHE, { recursive: true });
  const since = Date.now();
  let told = false;
  while (!tryTake(content())) {
    const held = readText(FILE);
    if (held === null) continue;
    if (isLeftBehind(held)) {
      clearLeftBehind(held);
      continue;
    }
    if (Date.now() - since > WAIT_MAX_MS)
      throw new Explained(`Another start still holds ${FILE}; remove it if none runs.`);
    if (!told && Date.now() - since > 1_000) {
      say('waiting for another start that is installing or building…');
      told = true;
    }
    await sleep(POLL_MS);
  }
  const mine = () => parseHolder(readText(FILE) ?? '')?.id === id;
  const refresh = () => {
    if (mine()) fs.writeFileSync(FILE, content());
  };
  const timer = setInterval(refresh, TOUCH_MS);
  try {
    return await work((pid) => {
      pids.push(pid);
      refresh();
    });
  } finally {
    clearInterval(timer);
    if (mine()) fs.rmSync(FILE, { force: true });
  }
}

module.exports = { withLock };
