import * as z from 'zod';
import { consider } from '../mind/router/choose.ts';
import type { Choice } from '../mind/router/choose.ts';
import type { CompletionRequest } from '../mind/router/request.ts';
import { listBenched } from '../substrate/benched.ts';
import { payerOf } from '../substrate/identity/grants.ts';
import type { Headroom } from '../substrate/ledger/ledger.ts';
import { headroom } from '../substrate/ledger/ledger.ts';
import { Labels } from '../substrate/ledger/model.ts';
import { boundOf, dollars, tokensFor } from '../substrate/ledger/money.ts';
import type { Candidate, Routing } from '../substrate/policy/model.ts';
import { noteEditsIfServing } from '../substrate/policy/outside.ts';
import { readCeilings, readTimezone, resolveRouting } from '../substrate/policy/policy.ts';
import { isoTime } from '../substrate/sources.ts';
import { defineTool } from './define.ts';

const INPUT_BYTES_MAX = 1_000_000;

const CandidateView = z.object({
  target: z.string(),
  model: z.string(),
  tier: z.int(),
  /** Null where it could be asked now. */
  skipped: z.string().nullable(),
  price: z.string().nullable(),
  worst_case_micro_usd: z.int().nullable(),
  /** What its answer could have at most: fewer than asked for where the headroom is smaller. */
  max_output_tokens: z.int().nullable(),
});
type CandidateView = z.infer<typeof CandidateView>;

const Output = z.object({
  role: z.string(),
  dispatch: z.enum(['any', 'cron']),
  policy: z.string().nullable(),
  /** Which candidate would be asked first; null where the call would be refused. */
  target: z.string().nullable(),
  model: z.string().nullable(),
  why: z.string(),
  candidates: z.array(CandidateView),
  headroom_micro_usd: z.int().nullable(),
  ceilings: z.array(
    z.object({
      ceiling: z.string(),
      spent_micro_usd: z.int(),
      held_micro_usd: z.int(),
      limit_micro_usd: z.int(),
      resets: z.string().nullable(),
    }),
  ),
});
type Output = z.infer<typeof Output>;

export const routeResolve = defineTool({
  name: 'route_resolve',
  title: 'What a call would do, without making it',
  description:
    'Use when you want to know which model a role would ask now, why others are skipped, what a call of that size costs at worst and what is left under the owner’s ceilings. Makes no call.',
  scope: 'route.resolve',
  surface: 'full',
  access: 'read',
  input: z.strictObject({
    role: z.string().min(1).max(64),
    dispatch: z.enum(['any', 'cron']).default('any').describe('cron: as the drain would ask'),
    input_bytes: z.int().min(1).max(INPUT_BYTES_MAX).default(4_000).describe('Size of the messages'),
    max_output_tokens: z.int().min(1).max(1_000_000).optional(),
    session_id: z.string().max(64).optional(),
    labels: Labels.default({}),
  }),
  output: Output,
  handler: async (input, { actor, substrate }): Promise<Output> => {
    const { role, dispatch } = input;
    await noteEditsIfServing(substrate);
    const request: CompletionRequest = {
      role,
      messages: [{ role: 'user', parts: [{ type: 'text', text: 'x'.repeat(input.input_bytes) }] }],
      tools: [],
      maxOutputTokens: input.max_output_tokens ?? null,
      stop: [],
      labels: input.labels,
      session: input.session_id ?? null,
    };
    const now = substrate.sources.now();
    const { PROVIDER_MODULES } = await import('../mind/router/providers/index.ts');
    return substrate.read(async (db) => {
      const routing = await resolveRouting(db, role, dispatch);
      if (routing === null) return noRoute(role, dispatch);
      const benched = await listBenched(db, now, routing.policyVersion);
      const spender = { role, agent: await payerOf(db, actor), session: request.session, labels: request.labels };
      const ceilings = await readCeilings(db);
      const left = await headroom(db, { spender, ceilings, timezone: await readTimezone(db), now });
      const provider = (name: keyof typeof PROVIDER_MODULES) => PROVIDER_MODULES[name];
      const views = routing.candidates.map((candidate) => {
        const found = consider(candidate, { routing, request, provider, benched });
        return 'candidate' in found ? afford(found, left) : view(candidate, found.why);
      });
      return decide({ routing, views, left, dispatch });
    });
  },
  text: sayResolution,
});

function noRoute(role: string, dispatch: 'any' | 'cron'): Output {
  const why = 'Policy names no usable way for this role; the owner sees why with `seed policy explain`.';
  const nothing = { policy: null, target: null, model: null, candidates: [], headroom_micro_usd: null, ceilings: [] };
  return { role, dispatch, why, ...nothing };
}

function view({ target, model, tier, price }: Candidate, skipped: string | null): CandidateView {
  return {
    target: target.name,
    model,
    tier,
    skipped,
    price: price?.version ?? null,
    worst_case_micro_usd: null,
    max_output_tokens: null,
  };
}

/** As an admission would do it: the whole answer, or a shorter one, or none. */
function afford({ candidate, bound }: Choice, { microUsd: left, tightest }: Headroom): CandidateView {
  const worst = boundOf(bound, bound.maxOutputTokens);
  const affordable =
    left === null ? bound.maxOutputTokens : tokensFor(left - bound.inputMicroUsd, bound.outputMicroUsdPerMtok);
  const tokens = Math.min(bound.maxOutputTokens, affordable);
  const fits = (left === null || bound.inputMicroUsd <= left) && tokens >= bound.minOutputTokens;
  const skipped = fits ? null : `Over the ceiling ${tightest?.ceiling ?? ''}: ${dollars(left ?? 0)} is left.`;
  return { ...view(candidate, skipped), worst_case_micro_usd: worst, max_output_tokens: fits ? tokens : null };
}

interface Considered {
  readonly routing: Routing;
  readonly views: readonly CandidateView[];
  readonly left: Headroom;
  readonly dispatch: 'any' | 'cron';
}

function decide({ routing, views, left, dispatch }: Considered): Output {
  const { role, policyVersion: policy, onCeiling } = routing;
  // Over the ceiling means stop, unless policy says to go on with the next.
  const considered = views.findIndex(({ skipped, worst_case_micro_usd: worst }) =>
    onCeiling === 'next' ? skipped === null : worst !== null,
  );
  const first = views[considered];
  const goes = first?.skipped === null ? first : undefined;
  return {
    role,
    dispatch,
    policy,
    target: goes?.target ?? null,
    model: goes?.model ?? null,
    why:
      goes === undefined ? (first?.skipped ?? 'None of its models can be asked now.') : 'The first that can be asked.',
    candidates: [...views],
    headroom_micro_usd: left.microUsd,
    ceilings: left.ceilings.map(({ ceiling, spentMicroUsd, heldMicroUsd, limitMicroUsd, resetsAt }) => ({
      ceiling,
      spent_micro_usd: spentMicroUsd,
      held_micro_usd: heldMicroUsd,
      limit_micro_usd: limitMicroUsd,
      resets: resetsAt === null ? null : isoTime(resetsAt),
    })),
  };
}

function sayResolution({ role, target, model, why, candidates, ceilings, headroom_micro_usd: left }: Output): string {
  const decision = target === null ? `${role}: refused. ${why}` : `${role}: asks ${target}/${model}.`;
  const lines = candidates.map((one) => {
    const worst = one.worst_case_micro_usd === null ? '' : `, at worst ${dollars(one.worst_case_micro_usd)}`;
    return `- ${one.target}/${one.model} (tier ${one.tier})${worst}${one.skipped === null ? '' : `: skipped. ${one.skipped}`}`;
  });
  const used = ceilings.map(
    (one) =>
      `- ${one.ceiling}: ${dollars(one.spent_micro_usd)} spent, ${dollars(one.held_micro_usd)} held of ${dollars(one.limit_micro_usd)}`,
  );
  return [decision, ...lines, left === null ? 'No ceiling applies.' : `Left: ${dollars(left)}`, ...used].join('\n');
}
