/** What demonstrations have in common: a stage that is cleared in any case, and two ways to tell. */
import { readConfig } from '../../config.ts';
import type { Stage } from '../demo/stage.ts';
import { EXIT, printJson, printLine } from '../output.ts';
import type { CommonOptions } from './shared.ts';

export type Say = (...lines: readonly string[]) => void;

/** Something to be ended, whatever happens; at once where the process is about to end. */
export interface Ending {
  readonly now: () => void;
  readonly orderly: () => Promise<void>;
}

/** What was shown: for a program, and whether all of it was as promised. */
export interface Shown {
  readonly told: object;
  readonly kept: boolean;
}

const NOT_AS_PROMISED = 'Something was not as promised. Please report it, with what --json prints.';

/** Plays on a stage of its own; `endings` grows with what the play starts. */
export async function onStage(
  { home, json = false }: CommonOptions,
  play: (scene: { stage: Stage; say: Say; endings: Ending[] }) => Promise<Shown>,
): Promise<void> {
  const { setStage } = await import('../demo/stage.ts');
  const began = performance.now();
  const say: Say = (...lines) => {
    if (!json) for (const line of lines) printLine(line);
  };
  const stage = await setStage(readConfig(), home);
  const endings: Ending[] = [];
  const leave = (): void => {
    for (const { now } of endings) now();
    stage.clear();
    process.exit(EXIT.failed);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, leave);
  try {
    const { told, kept } = await play({ stage, say, endings });
    if (json) printJson({ simulated: true, ...told, as_promised: kept });
    if (!kept) {
      say('', NOT_AS_PROMISED);
      process.exitCode = EXIT.failed;
    }
  } finally {
    for (const { orderly } of endings) await orderly();
    await stage.kill();
    stage.clear();
  }
  say('', `It took ${((performance.now() - began) / 1_000).toFixed(1)} s. ${stage.folder} is removed.`);
}
