/** Every version of the schema, in order. A new one goes at the end; a landed one never changes. */
import { ground } from './0001-ground.ts';
import { membrane } from './0002-membrane.ts';
import type { Migration } from './migration.ts';

export const MIGRATIONS: readonly Migration[] = [ground, membrane];
