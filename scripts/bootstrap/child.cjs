/** Starts the process that the bootstrap stands in for, and never outlives or leaves it. */
'use strict';

const { spawn } = require('node:child_process');
const os = require('node:os');
const tty = require('node:tty');

/** @type {readonly NodeJS.Signals[]} */
const FORWARDED = ['SIGTERM', 'SIGINT', 'SIGHUP'];
/** npm repeats a signal that the whole foreground group has got already; a second one could mean "now!". */
const REPEAT_MS = 1_000;
/** How long a child may take to stop once it has been told to. */
const GRACE_MS = 15_000;
/** The same for npm and the compiler, whose work is redone anyway. */
const HELPER_GRACE_MS = 2_000;
const PARENT_POLL_MS = 500;

/**
 * @typedef {object} Ended
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal
 * @property {NodeJS.Signals | null} interrupted The signal that was passed on to the child, if any.
 * @property {string} output What it printed, with `capture`; else nothing.
 */

/**
 * Runs a program to its end.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions & { capture?: boolean, onStart?: (pid: number) => void }} [options]
 * @returns {Promise<Ended>}
 */
function runChild(command, args, { capture = false, onStart, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: capture ? ['ignore', 'pipe', 'pipe'] : 'inherit', ...options });
    /** @type {Buffer[]} */
    const output = [];
    /** @type {NodeJS.Signals | null} */
    let interrupted = null;
    let lastAt = 0;
    /** @type {NodeJS.Timeout | undefined} */
    let escalation;
    /** @param {NodeJS.Signals} signal */
    const escalate = (signal) => {
      escalation ??= setTimeout(() => child.kill(signal), capture ? HELPER_GRACE_MS : GRACE_MS);
    };
    /** @param {NodeJS.Signals} signal */
    const onSignal = (signal) => {
      const now = Date.now();
      if (signal === interrupted && now - lastAt < REPEAT_MS) return;
      interrupted = signal;
      lastAt = now;
      // On a terminal the kernel has already told the child; only see to it that it does end.
      const sharesTerminal = !capture && signal !== 'SIGTERM' && [0, 1, 2].some((fd) => tty.isatty(fd));
      if (sharesTerminal) escalate('SIGTERM');
      else child.kill(signal);
      if (capture) escalate('SIGKILL');
    };
    for (const signal of FORWARDED) process.on(signal, onSignal);
    // Killed without a chance to pass it on, npm leaves us to init; the child must not stay behind.
    const parent = process.ppid;
    const watch = setInterval(() => {
      if (process.env['npm_lifecycle_event'] === undefined || process.ppid === parent) return;
      clearInterval(watch);
      interrupted = 'SIGTERM';
      child.kill('SIGTERM');
      escalate('SIGKILL');
    }, PARENT_POLL_MS);
    const settle = () => {
      clearInterval(watch);
      clearTimeout(escalation);
      for (const signal of FORWARDED) process.off(signal, onSignal);
    };
    child.stdout?.on('data', (/** @type {Buffer} */ chunk) => output.push(chunk));
    child.stderr?.on('data', (/** @type {Buffer} */ chunk) => output.push(chunk));
    child.on('spawn', () => {
      if (child.pid !== undefined) onStart?.(child.pid);
    });
    child.on('error', (error) => {
      settle();
      reject(error);
    });
    child.on('close', (code, signal) => {
      settle();
      resolve({ code, signal, interrupted, output: Buffer.concat(output).toString('utf8') });
    });
  });
}

/**
 * The exit code a shell gives to a program that ended by a signal.
 * @param {NodeJS.Signals} signal
 */
function exitCodeOf(signal) {
  return 128 + os.constants.signals[signal];
}

module.exports = { runChild, exitCodeOf };
