/** Every version of the schema, in order. A new one goes at the end; a landed one never changes. */
import { ground } from './0001-ground.ts';
import { membrane } from './0002-membrane.ts';
import { policy } from './0003-policy.ts';
import { ledger } from './0004-ledger.ts';
import { calls } from './0005-calls.ts';
import { bus } from './0006-bus.ts';
import { memory } from './0007-memory.ts';
import { sessions } from './0008-sessions.ts';
import { tasks } from './0009-tasks.ts';
import { imports } from './0010-imports.ts';
import { content } from './0011-content.ts';
import { gateway } from './0012-gateway.ts';
import { schedules } from './0013-schedules.ts';
import { mind } from './0014-mind.ts';
import { coherence } from './0015-coherence.ts';
import { notices } from './0016-notices.ts';
import { worker } from './0017-worker.ts';
import { pages } from './0018-pages.ts';
import { inboxes } from './0019-inboxes.ts';
import { shelves } from './0020-shelves.ts';
import { lists } from './0021-lists.ts';
import { moments } from './0022-moments.ts';
import { audience } from './0023-audience.ts';
import type { Migration } from './migration.ts';

export const MIGRATIONS: readonly Migration[] = [
  ground,
  membrane,
  policy,
  ledger,
  calls,
  bus,
  memory,
  sessions,
  tasks,
  imports,
  content,
  gateway,
  schedules,
  mind,
  coherence,
  notices,
  worker,
  pages,
  inboxes,
  shelves,
  lists,
  moments,
  audience,
];
