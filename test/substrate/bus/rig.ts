/** Senders and receivers with grants of their own, over one substrate. */
import type { Settled } from '../../../src/substrate/bus/settle.ts';
import type { Received } from '../../../src/substrate/bus/bus.ts';
import { receive, send, settleAll } from '../../../src/substrate/bus/bus.ts';
import type { Draft, Posted } from '../../../src/substrate/bus/post.ts';
import type { Actor } from '../../../src/substrate/actor.ts';
import { OWNER, SEED } from '../../../src/substrate/actor.ts';
import type { Grant } from '../../../src/substrate/identity/grants.ts';
import { insertGrant } from '../../../src/substrate/identity/grants.ts';
import { newId } from '../../../src/substrate/sources.ts';
import type { Substrate } from '../../../src/substrate/substrate.ts';

export interface MakeGrant {
  readonly kind?: Grant['kind'];
  readonly scopes?: readonly string[];
  readonly expiresAt?: number | null;
}

/** Lets somebody in by a name; a local agent unless said otherwise. */
export async function letIn(substrate: Substrate, name: string, more: MakeGrant = {}): Promise<Actor> {
  const { kind = 'agent', scopes = ['bus.send', 'bus.receive'], expiresAt = null } = more;
  const id = newId(substrate.sources);
  await substrate.operate({ action: 'agent.admit', actor: SEED }, async (op) => {
    op.receipt({ subject: { type: 'agent', id } });
    await insertGrant(op, {
      id,
      name,
      door: kind === 'agent' ? 'agent' : 'http',
      kind,
      scopes,
      surface: 'full',
      parent: null,
      publicKey: null,
      createdAt: op.now,
      expiresAt,
    });
  });
  return { id: name, kind, grant: id, scopes: new Set(scopes) };
}

export type More = Partial<Omit<Draft, 'to' | 'body'>>;

/** Sends a text. */
export function say(
  substrate: Substrate,
  from: Actor,
  to: string | readonly string[],
  text: string,
  more: More = {},
): Promise<Posted> {
  const addresses = typeof to === 'string' ? [to] : to;
  return send(substrate, from, { to: addresses, format: 'text', body: Buffer.from(text), ...more });
}

export const NEVER: AbortSignal = new AbortController().signal;

export interface Wanted {
  readonly limit?: number;
  readonly leaseMs?: number;
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/** A delivery in short: its place, its lease, its text. */
export interface Got {
  readonly seq: number;
  readonly lease: number;
  readonly thread: string;
  readonly text: string;
}

export function shorten({ ready }: Received): Got[] {
  return ready.map(({ seq, lease, thread, content }) => ({
    seq,
    lease,
    thread,
    text: content === null ? '' : Buffer.from(content).toString('utf8'),
  }));
}

export async function get(substrate: Substrate, who: Actor, wanted: Wanted = {}): Promise<Got[]> {
  const want = { limit: 10, leaseMs: 60_000, waitMs: 0, signal: NEVER, ...wanted };
  return shorten(await receive(substrate, who, want));
}

/** The texts of what somebody gets. */
export async function texts(substrate: Substrate, who: Actor, wanted: Wanted = {}): Promise<string[]> {
  return (await get(substrate, who, wanted)).map(({ text }) => text);
}

export async function ack(
  substrate: Substrate,
  who: Actor,
  handles: readonly Pick<Got, 'seq' | 'lease'>[],
): Promise<Settled[]> {
  const { value } = await settleAll(substrate, who, { handles, verdict: { kind: 'ack' } });
  return value.map(({ became }) => became);
}

export async function nack(
  substrate: Substrate,
  who: Actor,
  handles: readonly Pick<Got, 'seq' | 'lease'>[],
  { delayMs = 0, reason = null }: { delayMs?: number; reason?: string | null } = {},
): Promise<Settled[]> {
  const { value } = await settleAll(substrate, who, { handles, verdict: { kind: 'nack', delayMs, reason } });
  return value.map(({ became }) => became);
}

export { OWNER };
