import type { Command } from 'commander';
import { ask } from '../ask.ts';
import { EXIT, printJson, printLine, spoken } from '../output.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

interface Examination {
  readonly findings: readonly {
    readonly check: string;
    readonly verdict: 'good' | 'warning' | 'bad';
    readonly says: string;
    readonly advice: string;
  }[];
  readonly worst: 'good' | 'warning' | 'bad';
}

export function addDoctor(program: Command): void {
  const command = program.command('doctor').description('examine the home, the keys, the log and the disk');
  common(command, {
    examples: ['seed doctor', 'seed doctor --json'],
    exits: { ok: 'nothing is bad; there may be warnings', failed: 'something is bad' },
  }).action(doctor);
}

async function doctor(options: CommonOptions): Promise<void> {
  const examination = await ask<Examination>(configOf(options), { tool: 'seed_doctor', access: 'read' });
  process.exitCode = examination.worst === 'bad' ? EXIT.failed : EXIT.ok;
  if (options.json === true) {
    printJson(examination);
    return;
  }
  for (const { check, verdict, says, advice } of examination.findings) {
    printLine(`${verdict.padEnd(7)}  ${check.padEnd(10)}  ${spoken(says)}`);
    if (advice !== '') printLine(`${' '.repeat(21)}→ ${spoken(advice)}`);
  }
}
