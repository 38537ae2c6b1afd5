/** Where the `seed` command lies, for whatever starts it: a client, a service manager, a pipe. */
import { fileURLToPath } from 'node:url';

export const LAUNCHER: string = fileURLToPath(new URL('../../bin/seed.cjs', import.meta.url));
