/** Second half of the `seed` command, on a Node that is known to be new enough. */
'use strict';

const { existsSync } = require('node:fs');
const { enableCompileCache } = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const root = path.join(__dirname, '..');
// What clients start comes in by its own door: it needs none of the other commands.
const entry = process.argv[2] === 'mcp' ? path.join('mcp', 'main.js') : 'cli.js';
const cli = path.join(root, 'dist', 'cli', entry);

async function launch() {
  if (!existsSync(cli)) {
    process.stderr.write('seed is not built yet: run `npm start` or `npm run build` in its folder first.\n');
    return 1;
  }
  // Beside the code and not in the shared temporary folder, where another user could plant code;
  // where the folder cannot be written, Node goes on without.
  enableCompileCache?.(path.join(root, '.cache', 'compile'));
  const program = /** @type {{ main(argv: readonly string[]): Promise<number> }} */ (
    await import(pathToFileURL(cli).href)
  );
  return program.main(process.argv.slice(2));
}

launch().then(
  (code) => {
    process.exitCode = code;
  },
  (/** @type {unknown} */ error) => {
    process.stderr.write(
      `seed could not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exitCode = 1;
  },
);
