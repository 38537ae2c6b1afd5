/**
 * What an actor may be allowed to do. A closed list of scopes, and of kinds of qualified ones such as
 * `bus.send:reviewer`; a scope is matched whole, never by prefix: who holds `bus.send` does not thereby
 * hold `bus.send:reviewer`, nor the reverse.
 */
import * as z from 'zod';
import { SeedError } from '../../errors.ts';

/** Every scope, with what it allows. */
export const SCOPES = {
  'seed.status': 'see how the seed is',
  'receipt.read': 'read, list and prove receipts',
  'receipt.note': 'note what was done elsewhere',
  'content.read': 'read the content that receipts stand for',
  'route.complete': 'ask models on demand, within the ceilings',
  'route.resolve': 'see what a call would do and cost, without making it',
  'route.usage': 'see what calls to models have cost and what is left; a helper: of its own alone',
  'route.enqueue': 'leave work for the tier-1 models of the drain',
  'bus.send': 'send messages: the owner and local agents to everyone, a helper to whom bus.send:NAME names',
  'bus.receive': 'receive the messages of its own inbox',
  'coherence.read': 'see how the work of each subsystem goes',
  'task.read': 'see the tasks of all subsystems',
  'task.write': 'add tasks, claim them, and say what became of them',
  'task.verify': 'with task.write: say whether a task that somebody else did is done',
  'metrics.read': 'read the figures of the whole seed at /metrics',
  'session.use': 'open sessions, and read and continue those it holds',
  'handoff.offer': 'offer a session that it holds to others',
  'handoff.accept': 'take over sessions: a local agent also from one that went silent, a helper by token alone',
  'membrane.list': 'list the keys issued under its own',
  'membrane.register': 'register a public key under its own',
  'membrane.revoke': 'revoke a key issued under its own',
} as const;

type PlainScope = keyof typeof SCOPES;

const NAME = '[a-z0-9][a-z0-9._-]{0,63}';

/** Scopes that name what they are for: how they are written, and what they allow. */
export const QUALIFIED_SCOPES = {
  'bus.send:NAME': {
    form: new RegExp(`^bus\\.send:${NAME}$`),
    allows: 'for a helper: send to that name; of seed, the seed may make a task',
  },
  'bus.send:topic:NAME': { form: new RegExp(`^bus\\.send:topic:${NAME}$`), allows: 'for a helper: send to that topic' },
  'bus.receive:topic:NAME': {
    form: new RegExp(`^bus\\.receive:topic:${NAME}$`),
    allows: 'for a helper: follow that topic',
  },
  'memory.read:SPACE': {
    form: new RegExp(`^memory\\.read:(?:session:)?${NAME}$`),
    allows: 'find and read memories of that space: private (its own), shared, session:ID, or a name',
  },
  'memory.write:SPACE': {
    form: new RegExp(`^memory\\.write:(?:session:)?${NAME}$`),
    allows: 'write and forget memories of that space',
  },
} as const;

type QualifiedScope = `${'bus.send' | 'bus.receive' | 'memory.read' | 'memory.write'}:${string}`;

export type Scope = PlainScope | QualifiedScope;

const QUALIFIED_CHARS_MAX = 100;

/** Whether a scope is of a kind that names what it is for. */
function isQualified(scope: string): scope is QualifiedScope {
  return Object.values(QUALIFIED_SCOPES).some(({ form }) => form.test(scope));
}

/**
 * Whether scopes hold what a tool needs: that very scope, or, where it needs one of a kind such as
 * `memory.read:SPACE`, any of that kind. For which space then counts is the tool's to check, whole.
 */
export function holds(scopes: ReadonlySet<string>, needed: string): boolean {
  if (scopes.has(needed)) return true;
  const kind = Object.hasOwn(QUALIFIED_SCOPES, needed)
    ? QUALIFIED_SCOPES[needed as keyof typeof QUALIFIED_SCOPES]
    : null;
  return kind !== null && [...scopes].some((scope) => kind.form.test(scope));
}

export const Scope: z.ZodType<Scope, string> = z.union([
  z.enum(Object.keys(SCOPES) as [PlainScope, ...PlainScope[]]),
  z
    .string()
    .max(QUALIFIED_CHARS_MAX)
    .refine(isQualified, `a scope such as ${Object.keys(QUALIFIED_SCOPES)[0]}`)
    .describe(Object.keys(QUALIFIED_SCOPES).join(', ')),
]);

/** Whether there is such a scope. */
export function isScope(text: string): text is Scope {
  return Object.hasOwn(SCOPES, text) || isQualified(text);
}

/** What a local agent of the owner may do from the start: the daily work, no keys, no policy. */
const AGENT: readonly Scope[] = [
  'seed.status',
  'receipt.read',
  'receipt.note',
  'route.complete',
  'route.resolve',
  'route.usage',
  'bus.send',
  'bus.receive',
  'coherence.read',
  'task.read',
  'task.write',
  'task.verify',
  'session.use',
  'handoff.offer',
  'handoff.accept',
  'memory.read:private',
  'memory.write:private',
  'memory.read:shared',
  'memory.write:shared',
];

/** Named sets for `seed key issue --profile`. */
export const PROFILES: Readonly<Record<'agent' | 'helper' | 'observer' | 'gateway', readonly Scope[]>> = {
  agent: AGENT,
  helper: ['seed.status', 'receipt.note', 'bus.send', 'bus.send:owner', 'bus.receive'],
  observer: ['seed.status', 'receipt.read', 'coherence.read'],
  // Asks models through the gateway; what its conversations become may be taken over by the owner’s agents.
  gateway: ['route.complete', 'session.use', 'handoff.offer'],
};

/** @throws SeedError `forbidden` unless every wanted scope is held */
export function assertWithin(wanted: readonly string[], held: ReadonlySet<string>): void {
  const beyond = wanted.filter((scope) => !held.has(scope));
  if (beyond.length === 0) return;
  throw new SeedError('forbidden', `A key cannot hold what its issuer does not: ${beyond.join(', ')}.`, {
    hint: 'Ask for scopes that you hold, or ask the owner with membrane_request.',
    data: { scope: beyond[0] ?? '' },
  });
}
