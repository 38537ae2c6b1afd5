import * as z from 'zod';
import { SeedError, toSeedError } from '../errors.ts';
import { ON_DEMAND } from '../mind/router/dispatch.ts';
import type { Candidate, Target } from '../substrate/policy/model.ts';
import { noteOutsideEdits } from '../substrate/policy/outside.ts';
import { readPolicy } from '../substrate/policy/policy.ts';
import type { PolicySnapshot } from '../substrate/policy/snapshot.ts';
import type { Substrate } from '../substrate/substrate.ts';
import type { WriteContext } from './define.ts';
import { defineTool } from './define.ts';
import { TargetName, toTarget } from './target-schema.ts';
import type { Verdict } from './target-verdict.ts';
import { judge } from './target-verdict.ts';

/** How long a trial is waited for; it goes on if it takes longer. */
const WAIT_MS = 30_000;
/** Enough for a word, and little enough to cost next to nothing. */
const OUTPUT_TOKENS = 64;

const output = z.object({
  ok: z.boolean(),
  target: z.string(),
  model: z.string().nullable(),
  role: z.string().nullable(),
  code: z.string(),
  what: z.string(),
  hint: z.string(),
  cost_micro_usd: z.int(),
  receipt: z.int().nullable(),
});
type Tested = z.infer<typeof output>;

export const targetTest = defineTool({
  name: 'target_test',
  title: 'Try a target',
  description:
    'Use when it should be known whether a model provider answers, and if not, what is wrong and how to mend it.',
  scope: null,
  surface: 'owner',
  access: 'write',
  input: z.strictObject({ name: TargetName, model: z.string().min(1).max(200).optional() }),
  output,
  handler: async ({ name, model }, context) => {
    const { substrate, egress, actor } = context;
    await noteOutsideEdits(substrate);
    const policy = await substrate.read(readPolicy);
    const target = findTarget(policy, name);
    const blank = { target: name, model: null, role: null, cost_micro_usd: 0 };
    try {
      await egress.open(target);
      const choice = chooseTrial(policy, target, model);
      return await tryOut(context, target, choice);
    } catch (thrown) {
      const error = toSeedError(thrown);
      if (error.kind !== 'refused' || error.data['receipt'] !== undefined) throw error;
      const receipt = await receiptRefusal(substrate, { name, actor, error });
      return { ...blank, ok: false, code: error.code, what: error.message, hint: error.hint, receipt };
    }
  },
});

function findTarget({ rows }: PolicySnapshot, name: string): Target {
  const row = rows.targets.find((target) => target.name === name);
  const target = row === undefined ? null : toTarget(row);
  if (target !== null) return target;
  const names = rows.targets.map((one) => one.name).join(', ');
  throw new SeedError('not_found', `The policy names no target ${name}.`, {
    hint: names === '' ? 'Add one with `seed target add`.' : `It has ${names}; \`seed target add\` adds one.`,
  });
}

interface Choice {
  readonly role: string;
  readonly candidate: Candidate;
}

/** The cheapest model of a target that a trial may call. @throws SeedError `no_candidate`, `policy_invalid` */
function chooseTrial(policy: PolicySnapshot, target: Target, model: string | undefined): Choice {
  const wanted = ({ target: own, model: each }: Candidate): boolean =>
    own.name === target.name && (model === undefined || model === each);
  const resolved = policy.roles.map((role) => ({ role, ...policy.resolve(role, 'any') }));
  const choices = resolved.flatMap(({ role, routing }) =>
    (routing?.candidates ?? []).filter(wanted).map((candidate) => ({ role, candidate })),
  );
  // Tier 1 is for the drain alone, and its models cost the most.
  const priced = choices.filter(({ candidate: { tier, price } }) => tier !== 1 && price !== null);
  const [cheapest] = priced.toSorted((a, b) => priceOf(a) - priceOf(b));
  if (cheapest !== undefined) return cheapest;
  throw whyNone(policy, target, { model, choices });
}

function priceOf({ candidate: { price } }: Choice): number {
  return price === null ? Number.POSITIVE_INFINITY : price.input + price.output;
}

function whyNone(
  policy: PolicySnapshot,
  { name }: Target,
  { model, choices }: { model: string | undefined; choices: readonly Choice[] },
): SeedError {
  const [problem] = policy.common;
  if (problem !== undefined) return new SeedError('policy_invalid', problem.problem, { hint: problem.todo });
  const change = 'Write it into a copy of `seed policy show`, and put that in force with `seed policy apply FILE`.';
  const none = (message: string, hint: string): SeedError => new SeedError('no_candidate', message, { hint });
  const unpriced = choices.find(({ candidate: { tier, price } }) => tier !== 1 && price === null);
  if (unpriced !== undefined) {
    return none(`Nobody knows a price of ${unpriced.candidate.model} at ${name}, so it is not called.`, change);
  }
  const named = policy.rows.routing.filter(
    (row) => row.target === name && (model === undefined || row.model === model),
  );
  if (named.length > 0 && named.every(({ tier }) => tier === 1)) {
    return none(
      `The policy has only tier-1 models at ${name}, and a trial never calls those.`,
      `Name a smaller one too. ${change}`,
    );
  }
  if (named.length > 0)
    return none(`The roles that name ${name} resolve to nothing now.`, 'See `seed policy explain ROLE`.');
  const what = model === undefined ? `a model at ${name}` : `${model} at ${name}`;
  return none(`No role of the policy names ${what}.`, change);
}

/** One tiny call through the router: reserved, receipted, and of this candidate alone. */
async function tryOut(
  { mind, actor, signal }: WriteContext,
  target: Target,
  { role, candidate }: Choice,
): Promise<Tested> {
  const { model } = candidate;
  const request = {
    role,
    messages: [{ role: 'user' as const, parts: [{ type: 'text' as const, text: 'Say the word: ready' }] }],
    tools: [],
    maxOutputTokens: OUTPUT_TOKENS,
    stop: [],
    labels: {},
    session: null,
  };
  const only = { target: target.name, model };
  const asker = { actor, dispatch: ON_DEMAND, idempotencyKey: null, traceparent: null, only };
  const { outcome } = await mind.router.complete(request, asker, { waitMs: WAIT_MS, signal });
  const verdict: Verdict = judge({ target, model, outcome });
  return {
    ...verdict,
    target: target.name,
    model,
    role,
    cost_micro_usd: outcome.cost_micro_usd,
    receipt: outcome.receipt,
  };
}

/** What was refused before the router was asked is on record too. */
async function receiptRefusal(
  substrate: Substrate,
  { name, actor, error }: { name: string; actor: WriteContext['actor']; error: SeedError },
): Promise<number> {
  const { seq } = await substrate.operate({ action: 'target.test', actor }, async (op) => {
    op.receipt({ subject: { type: 'target', id: name }, outcome: 'refused', code: error.code });
  });
  return seq;
}
