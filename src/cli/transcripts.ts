/** Finds the transcript that a client wrote last. */
import type { Stats } from 'node:fs';
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SeedError } from '../errors.ts';
import type { TranscriptClient } from '../mind/sessions/import/format.ts';

/** Files that are looked at, at most. */
const FILES_MAX = 50_000;

interface Found {
  readonly path: string;
  readonly changedAt: number;
}

/**
 * The newest transcript: of Claude Code the one of this folder's project, if it has any.
 *
 * @throws SeedError `not_found`
 */
export function latestTranscript(
  client: TranscriptClient,
  { folders, cwd }: { folders: { readonly claude: string; readonly codex: string }; cwd: string },
): string {
  const places = {
    'claude-code': [join(folders.claude, 'projects', projectSlug(cwd)), join(folders.claude, 'projects')],
    codex: [join(folders.codex, 'sessions')],
  }[client];
  for (const place of places) {
    const newest = newestBelow(place, client);
    if (newest !== null) return newest;
  }
  throw new SeedError('not_found', `There is no transcript of ${client} below ${places.at(-1) ?? ''}.`, {
    hint: 'Name its file instead of --latest.',
    data: { argument: 'latest' },
  });
}

/** How Claude Code names the folder of a project. */
export function projectSlug(cwd: string): string {
  return cwd.replaceAll(/[^A-Za-z0-9]/g, '-');
}

function newestBelow(folder: string, client: TranscriptClient): string | null {
  // What subagents did lies beside what their conversation did.
  const isTranscript = (name: string): boolean =>
    name.endsWith('.jsonl') && (client === 'codex' ? name.startsWith('rollout-') : !name.startsWith('agent-'));
  let newest: Found | null = null;
  let seen = 0;
  const pending = [{ path: folder, depth: client === 'codex' ? 3 : 1 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const entry of entriesOf(next.path)) {
      const path = join(next.path, entry.name);
      if (entry.isDirectory() && next.depth > 0) pending.push({ path, depth: next.depth - 1 });
      if (!entry.isFile() || !isTranscript(entry.name)) continue;
      if (++seen > FILES_MAX) return newest?.path ?? null;
      const stat = statOf(path);
      if (stat !== undefined && stat.mtimeMs > (newest?.changedAt ?? 0)) newest = { path, changedAt: stat.mtimeMs };
    }
  }
  return newest?.path ?? null;
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // Not there, or not ours to read: then nothing of it is the newest.
    return [];
  }
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
