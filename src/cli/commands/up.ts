import type { Command } from 'commander';
import { Option } from 'commander';
import type { Config } from '../../config.ts';
import type { Serving } from '../../main.ts';
import { EXIT, printJson, printLine } from '../output.ts';
import { serviceUnit } from '../unit.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface UpOptions extends CommonOptions {
  readonly printUnit?: 'systemd' | 'launchd';
}

export function addUp(program: Command): void {
  const command = program
    .command('up')
    .description('serve the home in the foreground; makes it when it is not there')
    .addOption(new Option('--print-unit <manager>', 'print a service file instead').choices(['systemd', 'launchd']));
  common(command, [
    'seed up',
    'SEED_HOME=/srv/seed seed up',
    'seed up --print-unit systemd > ~/.config/systemd/user/seed.service',
  ]).action(up);
}

async function up(options: UpOptions): Promise<void> {
  const config = configOf(options);
  if (options.printUnit !== undefined) {
    process.stdout.write(serviceUnit(options.printUnit, config.home));
    return;
  }
  const { initHome, serve } = await import('../../main.ts');
  const created = await initHome(config, null);
  const serving = await serve(config);
  stopOnSignals(serving);
  if (options.json === true) printJson(readyFacts(config, serving, created));
  else printReady(config, serving, created);
  await serving.stopped;
  process.exitCode = EXIT.ok;
}

function stopOnSignals(serving: Serving): void {
  let asked = false;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The second signal means now: everything acknowledged is on disk already.
      if (asked) process.exit(EXIT.failed);
      asked = true;
      serving.stop();
    });
  }
}

function readyFacts({ version }: Config, { pid, home, seed, receipts, distrust }: Serving, created: boolean): object {
  return { ready: true, pid, version, home, seed, created, receipts, distrust: distrust?.code ?? null };
}

function printReady({ version }: Config, { home, seed, receipts, distrust }: Serving, created: boolean): void {
  printLine(`sovereign-seed ${version}: your agents’ home, on your own box`);
  printLine(`  lives in  ${home}${created ? ' (made just now)' : ''}`);
  printLine(`  seed      ${seed}`);
  printLine(`  receipts  ${receipts}; look at them with \`seed receipts list\``);
  printLine('  examine   `seed status`, `seed doctor`');
  printLine('  stop      Ctrl+C here, or `seed down`');
  if (distrust !== null) {
    printLine();
    printLine(`The log is not trusted, and nothing will be written: ${distrust.message}`);
    printLine(distrust.hint);
  }
}
