import * as z from 'zod';
import { listPeers } from '../substrate/bus/peers.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';
import { lines } from './text.ts';

export const busPeers = defineTool({
  name: 'bus_peers',
  title: 'Who is there',
  description: 'Use when you want to know whom you can send to, and whether they are there now.',
  scope: 'bus.send',
  surface: 'full',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    peers: z.array(
      z.object({
        name: z.string(),
        kind: z.enum(['owner', 'seed', 'agent', 'helper']),
        connected: z.boolean(),
        last_seen: z.string().nullable(),
        waiting: z.int().describe('Messages that it has not settled'),
      }),
    ),
    topics: z.array(z.string()).describe('Topics that somebody follows'),
    following: z.array(z.string()).describe('Topics that you follow'),
  }),
  text: ({ peers, topics, following }) =>
    lines(
      ...peers.map(
        ({ name, kind, connected, last_seen: seen, waiting }) =>
          `${name} (${kind}): ${connected ? 'connected' : seen === null ? 'never seen' : `last seen ${seen}`}; ${waiting} waiting.`,
      ),
      peers.length === 0 ? 'There is nobody whom you may send to.' : '',
      topics.length === 0 ? '' : `Topics: ${topics.map((topic) => `topic:${topic}`).join(', ')}.`,
      following.length === 0 ? '' : `You follow: ${following.join(', ')}.`,
    ),
  handler: async (_input, { actor, daemon, substrate }) => {
    const connected = new Set(daemon.agents());
    const { peers, topics, following } = await substrate.read((db) => listPeers(db, actor));
    return {
      peers: peers.map((peer) => ({
        name: peer.name,
        kind: peer.kind,
        connected: (peer.kind === 'agent' && connected.has(peer.name)) || substrate.mail.isAwaited(peer.holder),
        last_seen: peer.lastSeen === null ? null : isoTime(peer.lastSeen),
        waiting: peer.waiting,
      })),
      topics,
      following,
    };
  },
});
