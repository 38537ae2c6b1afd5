/** The home's configuration: chosen at `init`, changed by the owner, read at every start. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
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

const RootOutline = z.object({ signed: z.object({ seed: HomeSettings.shape.seed }) });

export type HomeSettings = z.infer<typeof HomeSettings>;

/** @throws SeedError `home_damaged` */
export function readSettings(home: string): HomeSettings {
  const path = homePath(home, 'settings');
  try {
    return HomeSettings.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    const how = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'is missing' : 'cannot be read or does not parse';
    throw new SeedError('home_damaged', `The home’s configuration ${path} ${how}.`, {
      hint: `Restore it from a backup of the home, or write it anew: ${anew(home)}`,
      cause,
    });
  }
}

/** Nothing in it is secret or unique but the seed's id, which the root of trust says too. */
function anew(home: string): string {
  return `{"v":1,"seed":"${seedOf(home) ?? '“seed” of root/1.json'}","port":7331,"sockets":null}`;
}

function seedOf(home: string): string | null {
  try {
    const { signed } = RootOutline.parse(JSON.parse(readFileSync(join(homePath(home, 'root'), '1.json'), 'utf8')));
    return signed.seed;
  } catch {
    // Then it is to be looked up by whoever mends the home.
    return null;
  }
}

export function writeSettings(home: string, settings: HomeSettings): void {
  replaceFileDurably(homePath(home, 'settings'), `${JSON.stringify(settings, null, 2)}\n`);
}
