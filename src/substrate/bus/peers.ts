/** Who can be written to, with how far each has come; a helper sees those whom it may reach, and no others. */
import type { Actor } from '../actor.ts';
import type { ReadHandle, Row } from '../store/store.ts';
import { isServiceName } from '../identity/names.ts';
import { mayReach } from './address.ts';
import { findInbox, SEED_INBOX, WAITING } from './inbox.ts';
import { holderOf } from './model.ts';
import { topicsOf } from './topics.ts';

export interface Peer {
  /** A grant's id, `owner`, or `seed`. */
  readonly holder: string;
  readonly name: string;
  readonly kind: 'owner' | 'seed' | 'agent' | 'helper';
  /** When its grant was last used, ms since the epoch; written down now and then. */
  readonly lastSeen: number | null;
  readonly waiting: number;
}

interface PeerRow extends Row {
  readonly holder: string;
  readonly name: string;
  readonly kind: Peer['kind'];
  readonly last_seen: number | null;
  readonly waiting: number | null;
}

const PEERS = `SELECT 'owner' AS holder, 'owner' AS name, 'owner' AS kind, NULL AS last_seen,
    (SELECT ${WAITING} FROM substrate_inboxes i WHERE i.holder = 'owner') AS waiting
  UNION ALL
  SELECT '${SEED_INBOX}', '${SEED_INBOX}', 'seed', NULL,
    (SELECT ${WAITING} FROM substrate_inboxes i WHERE i.holder = '${SEED_INBOX}')
  UNION ALL
  SELECT g.id, g.name, g.kind, u.last_seen, ${WAITING}
  FROM substrate_grants g LEFT JOIN substrate_grant_use u ON u.grant_id = g.id
    LEFT JOIN substrate_inboxes i ON i.holder = g.id
  ORDER BY name`;

interface TopicRow extends Row {
  readonly topic: string;
}

/** Everyone but the actor itself, whom it may send to; likewise the topics; and what it follows. */
export async function listPeers(
  db: ReadHandle,
  actor: Actor,
): Promise<{ peers: Peer[]; topics: string[]; following: string[] }> {
  const own = holderOf(actor);
  const rows = await db.all<PeerRow>(PEERS);
  const topics = await db.all<TopicRow>('SELECT DISTINCT topic FROM substrate_topics ORDER BY topic');
  const inbox = await findInbox(db, own);
  return {
    peers: rows
      .filter(({ holder, name }) => holder !== own && !isServiceName(name) && mayReach(actor, name))
      .map(({ last_seen: lastSeen, waiting, ...peer }) => ({ ...peer, lastSeen, waiting: waiting ?? 0 })),
    topics: topics.map(({ topic }) => topic).filter((topic) => mayReach(actor, `topic:${topic}`)),
    following: inbox === null ? [] : await topicsOf(db, inbox),
  };
}
