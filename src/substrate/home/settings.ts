/** The home's configuration: chosen at `init`, changed by the owner, read at every start. */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { SeedError } from '../../errors.ts';
import { replaceFileDurably } from './files.ts';
import { homePath } from './layout.ts';

const HomeSettings = z.strictObject({
  v: z.literal(1),
  /** The seed's id, 64 hex digits. */
  seed: z.string().regex(/^[0-9a-f]{64}$/),
  /** The port of the HTTP door on loopback, fixed when the home was made. */
  port: z.int().min(1).max(65_535),
  /** The folder of the sockets when the home's own path is too long for one; see sun_path in unix(7). */
  sockets: z.string().nullable(),
});

export type HomeSettings = z.infer<typeof HomeSettings>;

/** @throws SeedError `home_damaged` */
export function readSettings(home: string): HomeSettings {
  const path = homePath(home, 'settings');
  try {
    return HomeSettings.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new SeedError('home_damaged', `The home’s configuration ${path} is missing or does not parse.`, {
      hint: 'Restore config.json from a backup of the home.',
      cause,
    });
  }
}

export function writeSettings(home: string, settings: HomeSettings): void {
  replaceFileDurably(homePath(home, 'settings'), `${JSON.stringify(settings, null, 2)}\n`);
}
