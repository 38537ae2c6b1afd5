/** The bus of a seed, at the substrate. */
import type { Actor } from '../../src/substrate/actor.ts';
import { SEED } from '../../src/substrate/actor.ts';
import { receive, send, settleAll } from '../../src/substrate/bus/bus.ts';
import { SENDER_MESSAGES_MAX } from '../../src/substrate/bus/model.ts';
import { insertGrant } from '../../src/substrate/identity/grants.ts';
import { newId } from '../../src/substrate/sources.ts';
import type { Substrate } from '../../src/substrate/substrate.ts';
import type { Peer } from './peer.ts';

const NEVER = new AbortController().signal;

/** Messages of one sender that one inbox takes; a run of more goes to several. */
export const INBOX_ROOM: number = SENDER_MESSAGES_MAX;

async function letIn(substrate: Substrate, name: string): Promise<Actor> {
  const id = newId(substrate.sources);
  const scopes = ['bus.send', 'bus.receive'];
  await substrate.operate({ action: 'agent.admit', actor: SEED }, (op) =>
    insertGrant(op, {
      id,
      name,
      door: 'agent',
      kind: 'agent',
      scopes,
      surface: 'daily',
      parent: null,
      publicKey: null,
      createdAt: op.now,
      expiresAt: null,
    }),
  );
  return { id: name, kind: 'agent', grant: id, scopes: new Set(scopes) };
}

/** A sender and as many inboxes as a run of `messages` needs: one is filled after the other, as the peers fill one queue. */
export async function busOf(substrate: Substrate, messages: number, prefix: string): Promise<Peer> {
  const sender = await letIn(substrate, `${prefix}-sender`);
  const count = Math.ceil(messages / INBOX_ROOM);
  const inboxes: Actor[] = [];
  for (let nr = 0; nr < count; nr++) inboxes.push(await letIn(substrate, `${prefix}-${nr}`));
  const [first] = inboxes;
  let sent = 0;
  const settle = async (who: Actor, handles: readonly { seq: number; lease: number }[]): Promise<void> => {
    if (handles.length > 0) await settleAll(substrate, who, { handles, verdict: { kind: 'ack' } });
  };
  const drain = async (): Promise<void> => {
    sent = 0;
    for (const inbox of inboxes) {
      for (;;) {
        const { ready } = await receive(substrate, inbox, { limit: 100, leaseMs: 60_000, waitMs: 0, signal: NEVER });
        if (ready.length === 0) break;
        await settle(inbox, ready);
      }
    }
  };
  return {
    name: 'the bus',
    publish: async (text) => {
      const to = [`${prefix}-${Math.floor(sent++ / INBOX_ROOM) % count}`];
      await send(substrate, sender, { to, format: 'text', body: Buffer.from(text) });
    },
    drain,
    receiver: () =>
      Promise.resolve({
        next: async () => {
          if (first === undefined) throw new Error('There is no inbox.');
          const want = { limit: 10, leaseMs: 60_000, waitMs: 5_000, signal: NEVER };
          const { ready } = await receive(substrate, first, want);
          return {
            texts: ready.map(({ content }) => Buffer.from(content ?? []).toString('utf8')),
            done: () => settle(first, ready),
          };
        },
        close: () => {},
      }),
    // The substrate is its opener's.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
