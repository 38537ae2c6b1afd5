import type { Command } from 'commander';
import { addSessionFiles } from './session-files.ts';

export function addSession(program: Command): void {
  const session = program.command('session').description('work that outlives the model and the client');
  addSessionFiles(session);
}
