/** Every kind of probe. A new one is a file here, its name in `substrate/probes/model.ts`, and one line. */
import { SeedError } from '../../../errors.ts';
import type { ProbeKind, ProbeSpec } from '../../../substrate/probes/model.ts';
import { readFiles } from './files.ts';
import { readGit } from './git.ts';
import { readJsonl } from './jsonl.ts';
import type { ReadPlace } from './probe.ts';
import { readSqlite } from './sqlite.ts';

interface KindOfProbe {
  /** What it must be told besides its place; it takes nothing else. */
  readonly needs: readonly (keyof ProbeSpec)[];
  readonly read: ReadPlace;
}

export const PROBES: Readonly<Record<ProbeKind, KindOfProbe>> = {
  git: { needs: [], read: readGit },
  files: { needs: [], read: readFiles },
  jsonl: { needs: ['field'], read: readJsonl },
  sqlite: { needs: ['table', 'column'], read: readSqlite },
};

/** @throws SeedError `invalid_input` for what is missing, or does not belong to that kind */
export function assertSpec(kind: ProbeKind, spec: ProbeSpec): void {
  const { needs } = PROBES[kind];
  const missing = needs.find((name) => spec[name] === undefined);
  const wrong = (['field', 'table', 'column'] as const).find(
    (name) => spec[name] !== undefined && !needs.includes(name),
  );
  const fault = missing ?? wrong;
  if (fault === undefined) return;
  const what = missing === undefined ? 'does not belong to' : 'is missing for';
  throw new SeedError('invalid_input', `${fault} ${what} a probe of ${kind}.`, {
    hint: needs.length === 0 ? `${kind} takes its path alone.` : `${kind} takes ${needs.join(' and ')}.`,
    data: { argument: fault },
  });
}
