/** Before any test: dist/ must be what src/ says, since some tests start the real program. */
import path from 'node:path';
import { runChild } from './bootstrap/child.cjs';

export async function setup(): Promise<void> {
  const run = path.join(import.meta.dirname, 'run.cjs');
  const ended = await runChild(process.execPath, [run, 'build'], { capture: true });
  if (ended.code !== 0) throw new Error(`The build failed:\n${ended.output}`);
}
