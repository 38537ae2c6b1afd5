import path from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Config } from '../../config.ts';
import { readConfig } from '../../config.ts';
import type { Serving } from '../../daemon.ts';
import { firstRunLines, lookForModelsApart } from '../first-run.ts';
import { EXIT, printJson, printLine, spoken } from '../output.ts';
import { serviceUnit } from '../unit.ts';
import { noteServing } from '../serving.ts';
import type { CommonOptions } from './shared.ts';
import { common } from './shared.ts';

interface UpOptions extends CommonOptions {
  readonly printUnit?: 'systemd' | 'launchd';
  readonly behindProxy?: boolean;
  readonly detect: boolean;
}
export function addUp(program: Command): void {
  const command = program
    .command('up')
    .description('serve the home in the foreground; makes it when it is not there')
    .option(
      '--behind-proxy',
      'pin SEED_PUBLIC_URL, an https address that a proxy on this machine serves, and answer to it from now on',
    )
    .option('--no-detect', 'where a home is made: look for no keys in the environment, and for no Ollama')
    .addOption(new Option('--print-unit <manager>', 'print a service file instead').choices(['systemd', 'launchd']));
  common(command, {
    examples: [
      'seed up',
      'SEED_HOME=/srv/seed seed up',
      'seed up --print-unit systemd > ~/.config/systemd/user/seed.service',
    ],
    exits: {
      ok: 'stopped in good order, by Ctrl+C, SIGTERM or `seed down`',
      failed: 'could not start; another daemon has the home, for instance',
    },
  }).action(up);
}

async function up(options: UpOptions): Promise<void> {
  const config = readConfig({ home: options.home, behindProxy: options.behindProxy });
  if (options.printUnit !== undefined) {
    const unit = serviceUnit(options.printUnit, config.home);
    if (options.json === true) printJson({ manager: options.printUnit, unit });
    else process.stdout.write(unit);
    return;
  }
  const { initHome } = await import('../../main.ts');
  const { serve } = await import('../../daemon.ts');
  const created = await initHome(config, null);
  const models = created && options.detect ? await lookForModelsApart(config) : null;
  const daemon = await serve(config, { signal: stopSignal() });
  noteServing();
  if (options.json === true) printJson(readyFacts(config, daemon, created));
  else {
    printReady(config, daemon, created);
    if (created) printNew(daemon);
    const lines = models === null ? [] : firstRunLines(models);
    for (const [index, line] of lines.entries()) printLine(`${index === 0 ? '  models    ' : '            '}${line}`);
  }
  await daemon.stopped;
  process.exitCode = EXIT.ok;
  if (options.json !== true) printLine('Stopped; everything is on disk.');
}

/** Within this time a signal is the same one again. */
const REPEAT_MS = 1_000;

/** Aborted by the first signal that asks this process to end. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  let askedAt = 0;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      const now = performance.now();
      // A signal to the whole group comes by each parent that passes it on as well, and is one all the same.
      if (stop.signal.aborted && now - askedAt < REPEAT_MS) return;
      // The second one means now: everything acknowledged is on disk already.
      if (stop.signal.aborted) process.exit(EXIT.failed);
      askedAt = now;
      stop.abort();
    });
  }
  return stop.signal;
}

function readyFacts(
  { version }: Config,
  { pid, home, seed, url, receipts, distrust, httpProblem }: Serving,
  created: boolean,
): object {
  const problem = httpProblem?.message ?? null;
  return { ready: true, pid, version, home, seed, url, created, receipts, distrust: distrust?.code ?? null, problem };
}

/** What can be done best, or only, while a home is new. */
function printNew({ home }: Serving): void {
  printLine(`  keep      a copy of ${path.join(home, 'root', '1.json')} elsewhere: it proves where receipts come from`);
  printLine(
    spoken('  owner     No passphrase: whatever runs as you can act as the owner. `seed doctor` says what to do.'),
  );
}

function printReady(
  { version }: Config,
  { home, seed, url, receipts, distrust, httpProblem }: Serving,
  created: boolean,
): void {
  printLine(`sovereign-seed ${version}: your agents’ home, on your own box`);
  printLine(`  lives in  ${home}${created ? ' (made just now)' : ''}`);
  printLine(`  seed      ${seed}`);
  printLine(spoken(`  receipts  ${receipts}; look at them with \`seed receipts list\``));
  printLine(spoken('  connect   `seed connect claude-code` (or claude-desktop, cursor, vscode, inspector)'));
  printLine(
    spoken(`  helpers   ${url === null ? 'the HTTP door is shut' : `${url}, with a key from \`seed key issue\``}`),
  );
  printLine(spoken('  examine   `seed status`, `seed doctor`'));
  printLine(spoken('  stop      Ctrl+C here, or `seed down`'));
  if (httpProblem !== null) {
    printLine();
    printLine(`${httpProblem.message} ${spoken(httpProblem.hint)}`);
  }
  if (distrust !== null) {
    printLine();
    printLine(`The log is not trusted, and nothing will be written: ${distrust.message}`);
    printLine(spoken(distrust.hint));
  }
}
