/** Second half of the `seed` command, on a Node that is known to be new enough. */
'use strict';

const { existsSync, rmSync } = require('node:fs');
const { enableCompileCache } = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { cachedDataVersionTag, setFlagsFromString } = require('node:v8');

const root = path.join(__dirname, '..');
// What clients start comes in by its own door: it needs none of the other commands.
const first = process.argv[2] ?? '';
const entry = ['mcp', 'hook'].includes(first) ? path.join(first, 'main.js') : 'cli.js';
const cli = path.join(root, 'dist', 'cli', entry);

/** By then a start is over, and what still runs runs for longer. */
const STARTED_MS = 1_000;

/**
 * What a start runs it runs once. V8 would optimise its loops all the same, which brings the optimising
 * compiler into memory: 5 MB of an idle daemon, for code that nobody calls again.
 *
 * Where it was off before, as under `--jitless`, it stays off: there V8 crashes when it is turned on.
 */
function optimiseLater() {
  // The one thing that tells of V8's flags: it changes with each of them.
  const before = cachedDataVersionTag();
  setFlagsFromString('--no-opt');
  if (cachedDataVersionTag() === before) return;
  setTimeout(() => setFlagsFromString('--opt'), STARTED_MS).unref();
}

async function launch() {
  if (!existsSync(cli)) {
    process.stderr.write('seed is not built yet: run `npm start` or `npm run build` in its folder first.\n');
    return 1;
  }
  optimiseLater();
  // Beside the code and not in the shared temporary folder, where another user could plant code;
  // where the folder cannot be written, Node goes on without.
  enableCompileCache?.(path.join(root, '.cache', 'compile'));
  const program = /** @type {{ main(argv: readonly string[]): Promise<number> }} */ (
    await import(pathToFileURL(cli).href)
  );
  return program.main(process.argv.slice(2));
}

/**
 * A package that is not whole. Without their notes on what is installed, `npm start` installs anew.
 * @param {string} why
 */
function tellBroken(why) {
  for (const note of ['.seed-installed', '.package-lock.json']) {
    try {
      rmSync(path.join(root, 'node_modules', note), { force: true });
    } catch {
      // Somebody else's installation: it is theirs to mend, by the same command.
    }
  }
  process.stderr.write(
    `seed: A package that the program needs is missing or not whole: ${why}\n` +
      '      Install anew: `npm start` in a checkout, `npm install -g sovereign-seed` elsewhere.\n',
  );
}

launch().then(
  (code) => {
    process.exitCode = code;
  },
  (/** @type {unknown} */ error) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const [said = ''] = (error instanceof Error ? error.message : text).split('\n');
    if (text.includes('node_modules') || said.startsWith('Cannot find package')) tellBroken(said);
    else process.stderr.write(`seed could not start: ${text}\n`);
    process.exitCode = 1;
  },
);
