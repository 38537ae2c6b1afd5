/** What the doctor finds of the policy: its roles, who answers at its targets, what is left of its ceilings. */
import { toSeedError } from '../errors.ts';
import type { Egress } from '../membrane/egress.ts';
import { reach } from '../mind/router/reach.ts';
import type { Benched } from '../substrate/benched.ts';
import { benchOf, listBenched, whyBenched } from '../substrate/benched.ts';
import type { Finding } from '../substrate/health/finding.ts';
import { bad, good, warning } from '../substrate/health/finding.ts';
import { dollars } from '../substrate/ledger/money.ts';
import { ceilingUses } from '../substrate/ledger/usage.ts';
import { noteEditsIfServing } from '../substrate/policy/outside.ts';
import type { Candidate, Routing } from '../substrate/policy/model.ts';
import { readPolicy } from '../substrate/policy/policy.ts';
import type { TargetRow } from '../substrate/policy/rows.ts';
import type { PolicySnapshot } from '../substrate/policy/snapshot.ts';
import type { SubstrateReader } from '../substrate/substrate.ts';
import { isReady } from './credential-schema.ts';
import { toTarget } from './target-schema.ts';

/** How long one target may take to answer, in milliseconds. */
const REACH_MS_MAX = 5_000;

export interface Examined {
  readonly substrate: SubstrateReader;
  readonly egress: Egress;
  readonly signal: AbortSignal;
}

/** Policy, each target, and ceilings. */
export async function examineModels(examined: Examined): Promise<Finding[]> {
  try {
    return await examineAll(examined);
  } catch (thrown) {
    const error = toSeedError(thrown);
    if (error.code === 'interrupted' || examined.signal.aborted) throw thrown;
    // What keeps the policy from being read is told by the other checks, too.
    return [bad('policy', error.message, error.hint)];
  }
}

async function examineAll({ substrate, egress, signal }: Examined): Promise<Finding[]> {
  await noteEditsIfServing(substrate);
  const policy = await substrate.read(readPolicy);
  const { targets } = policy.rows;
  const roles = resolveRoles(policy);
  const benched = await substrate.read((db) => listBenched(db, substrate.sources.now(), policy.policyVersion));
  const states = await Promise.all(
    targets.map((row) => examineTarget(row, { egress, signal, routings: roles.usable })),
  );
  return [
    sayPolicy(policy, roles),
    ...states.map((state) => sayTarget(state, { all: states, routings: roles.usable, benched })),
    await examineCeilings(substrate, policy),
  ];
}

interface Roles {
  readonly usable: readonly Routing[];
  /** A role that resolves to null, and why. */
  readonly broken: readonly { readonly role: string; readonly problem: string; readonly todo: string }[];
}

function resolveRoles(policy: PolicySnapshot): Roles {
  const usable: Routing[] = [];
  const broken: { role: string; problem: string; todo: string }[] = [];
  for (const role of policy.roles) {
    // Whoever may run on schedule resolves so in any case.
    const { routing, problems } = policy.resolve(role, 'cron');
    const [first] = problems;
    if (routing !== null) usable.push(routing);
    else broken.push({ role, problem: first?.problem ?? 'It cannot be read.', todo: first?.todo ?? '' });
  }
  return { usable, broken };
}

function sayPolicy({ policyVersion, pendingEdits }: PolicySnapshot, { usable, broken }: Roles): Finding {
  const [first] = broken;
  if (first !== undefined) {
    const others = broken.length === 1 ? '' : `, and ${broken.length - 1} more`;
    return bad('policy', `The role ${first.role}${others} resolves to nothing: ${first.problem}`, first.todo);
  }
  if (pendingEdits > 0) {
    return warning('policy', 'It was edited outside, and that waits for your word.', 'Look: `seed policy history`.');
  }
  if (usable.length === 0) {
    return warning('policy', 'No model yet; everything else works.', 'Add one: `seed target add`.');
  }
  return good('policy', `Version ${policyVersion}: ${usable.map(({ role }) => role).join(', ')}.`);
}

interface TargetState {
  readonly name: string;
  /** Why none of its models can be asked; null where it answers. */
  readonly problem: string | null;
  readonly advice: string;
  /** Models that policy names and that are not there. */
  readonly missing: readonly string[];
}

interface Looking {
  readonly egress: Egress;
  readonly signal: AbortSignal;
  readonly routings: readonly Routing[];
}

async function examineTarget(row: TargetRow, { egress, signal, routings }: Looking): Promise<TargetState> {
  const { name } = row;
  const target = toTarget(row);
  const fail = (problem: string, advice: string): TargetState => ({ name, problem, advice, missing: [] });
  if (target === null) return fail('its row cannot be read', 'See `seed policy check`.');
  try {
    // Its key first: whoever has none need not be asked.
    await egress.open(target);
    const facts = target.credential === null ? null : egress.credentials.facts(target.credential);
    if (facts !== null && !isReady(egress.credentials, facts))
      return fail('its key cannot be used', 'See `seed credential list`.');
    const { fetch } = await egress.open({ ...target, credential: null });
    const timed = AbortSignal.any([signal, AbortSignal.timeout(REACH_MS_MAX)]);
    const models = await reach(target, { fetch, signal: timed });
    const wanted = candidatesOf(routings, name).map(({ model }) => model);
    const missing = models === null ? [] : [...new Set(wanted)].filter((model) => !models.includes(model));
    return { name, problem: null, advice: '', missing };
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message, hint } = toSeedError(thrown);
    if (code !== 'internal') return fail(message.replace(/\.$/, ''), hint);
    // What `fetch` throws is that nobody answered, or not in time; the rest is that it is no Ollama.
    const isNobody = thrown instanceof TypeError || thrown instanceof DOMException;
    return fail(
      `${isNobody ? 'nobody' : 'something else'} answers at ${new URL(target.baseUrl).origin}`,
      `Start it, or look at the address. \`seed target test ${name}\` says more.`,
    );
  }
}

function candidatesOf(routings: readonly Routing[], target: string): Candidate[] {
  return routings.flatMap(({ candidates }) => candidates.filter((candidate) => candidate.target.name === target));
}

/** What a target's state is seen together with. */
interface Around {
  readonly all: readonly TargetState[];
  readonly routings: readonly Routing[];
  /** Models that the router does not ask for now. */
  readonly benched: readonly Benched[];
}

/** A target's state, with what follows from it for the roles that name it. */
function sayTarget(state: TargetState, around: Around): Finding {
  const { name, problem, advice, missing } = state;
  const { routings } = around;
  const sitsOut = around.benched.filter(({ target }) => target === name);
  const check = 'target';
  if (problem === null && missing.length === 0 && sitsOut.length === 0) return good(check, `${name} answers.`);
  const what =
    problem === null
      ? `${name} answers${missing.length === 0 ? '' : `, and does not have ${missing.join(', ')}`}`
      : `${name} cannot be used: ${problem}`;
  const named = routings.filter(({ candidates }) => candidates.some(({ target }) => target.name === name));
  const follows = named.map((routing) => whatFollows(routing, around));
  const isAlone = follows.some(({ next }) => next === null);
  const resting = sitsOut.map((one) => `${one.model === '*' ? 'It' : one.model} sits out: ${whyBenched(one)}`);
  const says = [`${what}.`, ...resting, ...follows.map(({ says: line }) => line)].join(' ');
  const repair =
    missing.length > 0
      ? 'Pull what is missing, or change the policy (`seed policy show`).'
      : 'It is asked again by itself; after `seed policy apply` at once where it cost more than its bound.';
  const todo = problem === null ? repair : advice;
  return isAlone ? bad(check, says, todo) : warning(check, says, todo);
}

function whatFollows({ role, candidates }: Routing, { all, benched }: Around): { says: string; next: string | null } {
  const canAnswer = ({ target, model }: Candidate): boolean =>
    benchOf(benched, { target: target.name, model }) === undefined &&
    all.some(({ name, problem, missing }) => name === target.name && problem === null && !missing.includes(model));
  const next = candidates.find(canAnswer);
  if (next === undefined) return { says: `The role ${role} has nobody left.`, next: null };
  const place = `${next.target.name}/${next.model}`;
  return { says: `The role ${role} is answered by ${place}.`, next: place };
}

async function examineCeilings(substrate: SubstrateReader, { ceilings, timezone }: PolicySnapshot): Promise<Finding> {
  if (ceilings === null || timezone === null) {
    return bad('ceilings', 'They cannot be read: nothing is spent.', 'See `seed policy check`.');
  }
  if (ceilings.length === 0) {
    return warning('ceilings', 'There is none: nothing limits what calls may cost.', 'Add one to the policy.');
  }
  const now = substrate.sources.now();
  const { uses } = await substrate.read((db) => ceilingUses(db, { ceilings, timezone, now, limit: 1 }));
  const [most] = uses.entries;
  if (most === undefined) return good('ceilings', `${ceilings.length} of them, and nothing is spent.`);
  const { ceiling, spentMicroUsd: spent, limitMicroUsd: limit } = most;
  const says = `The most used is ${ceiling}: ${dollars(spent)} of ${dollars(limit)}.`;
  return spent * 5 < limit * 4 ? good('ceilings', says) : warning('ceilings', says, 'See `seed usage`.');
}
