/** What clients can read as resources: each is a tool's answer under an address. */
import type { Actor } from '../substrate/actor.ts';

/** A resource's fixed face. */
interface Resource {
  readonly uri: string;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly mimeType: string;
  /** The scope to read it; that of the tool behind it. */
  readonly scope: string;
  readonly tool: string;
  /** How the tool's answer is written out. */
  readonly write: (answer: unknown) => string;
}

const asJson = (answer: unknown): string => JSON.stringify(answer, null, 2);

/** Everybody's own under one address: who is told of a change depends on whose inbox it is. */
export const INBOX_URI = 'seed://bus/inbox';
export const COHERENCE_URI = 'seed://coherence';

export const RESOURCES: readonly Resource[] = [
  {
    uri: 'seed://status',
    name: 'status',
    title: 'How the seed is',
    description: 'Whether it serves, and how far its log has come.',
    mimeType: 'application/json',
    scope: 'seed.status',
    tool: 'seed_status',
    write: asJson,
  },
  {
    uri: 'seed://checkpoint',
    name: 'checkpoint',
    title: 'The newest checkpoint',
    description: 'A signed note that covers every receipt so far; keep one, and nobody can cut the log unseen.',
    mimeType: 'text/plain',
    scope: 'receipt.read',
    tool: 'receipt_checkpoint',
    write: (answer) => (answer as { checkpoint: string }).checkpoint,
  },
  {
    uri: INBOX_URI,
    name: 'inbox',
    title: 'What waits in your inbox',
    description:
      'How many messages wait for you, and from whom. Listen to it to be told of new ones; bus_receive takes them.',
    mimeType: 'application/json',
    scope: 'bus.receive',
    tool: 'bus_inbox',
    write: asJson,
  },
  {
    uri: COHERENCE_URI,
    name: 'coherence',
    title: 'How the work goes',
    description: 'The state of each subsystem; listen to it to be told when one changes.',
    mimeType: 'application/json',
    scope: 'coherence.read',
    tool: 'coherence_read',
    write: asJson,
  },
];

const RECEIPT_TEMPLATE = {
  uriTemplate: 'seed://receipts/{seq}',
  name: 'receipt',
  title: 'One receipt',
  description: 'What one receipt records.',
  mimeType: 'application/json',
  scope: 'receipt.read',
} as const;

const SESSION_TEMPLATE = {
  uriTemplate: 'seed://sessions/{id}',
  name: 'session',
  title: 'One session',
  description: 'Where a session stands and who holds it; listen to it to be told of changes.',
  mimeType: 'application/json',
  scope: 'session.use',
} as const;

export const TEMPLATES = [RECEIPT_TEMPLATE, SESSION_TEMPLATE] as const;

export function sessionUri(id: string): string {
  return `seed://sessions/${id}`;
}

/** What reading an address means: a tool and its input. */
export interface ResourceCall {
  readonly tool: string;
  readonly input: unknown;
  readonly scope: string;
  readonly mimeType: string;
  readonly write: (answer: unknown) => string;
}

/** The call behind an address, or null when nothing has it. */
export function resolveResource(uri: string): ResourceCall | null {
  const fixed = RESOURCES.find((resource) => resource.uri === uri);
  if (fixed !== undefined) return { ...fixed, input: {} };
  const session = /^seed:\/\/sessions\/([0-9a-f]{32})$/.exec(uri)?.[1];
  if (session !== undefined) {
    return { ...SESSION_TEMPLATE, tool: 'session_get', input: { session_id: session, limit: 0 }, write: asJson };
  }
  const seq = /^seed:\/\/receipts\/(0|[1-9]\d{0,14})$/.exec(uri)?.[1];
  if (seq === undefined) return null;
  const { scope, mimeType } = RECEIPT_TEMPLATE;
  return { tool: 'receipt_get', input: { seq: Number(seq) }, scope, mimeType, write: asJson };
}

/** Whether an actor may read an address, and so may be told when it changes. */
export function mayRead(uri: string, actor: Actor): boolean {
  const call = resolveResource(uri);
  return call !== null && actor.scopes.has(call.scope);
}
