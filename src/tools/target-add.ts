import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { Egress } from '../membrane/egress.ts';
import { parseBaseUrl } from '../substrate/origins.ts';
import { applyPolicy } from '../substrate/policy/apply.ts';
import { PROVIDERS } from '../substrate/policy/model.ts';
import { noteOutsideEdits } from '../substrate/policy/outside.ts';
import { readPolicy } from '../substrate/policy/policy.ts';
import type { TargetRow } from '../substrate/policy/rows.ts';
import type { Substrate } from '../substrate/substrate.ts';
import { CredentialName } from './credential-schema.ts';
import { defineTool } from './define.ts';
import { Change, Remark } from './policy-schema.ts';
import { findLocalModels, TargetName, toTarget } from './target-schema.ts';

export const targetAdd = defineTool({
  name: 'target_add',
  title: 'Add a place where models answer',
  description:
    'Use when a model provider should be part of the policy, with the roles that the starter file has for it.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  input: z.strictObject({
    name: TargetName,
    provider: z.enum(PROVIDERS),
    base_url: z.string().min(1).max(500),
    credential: CredentialName.nullable(),
  }),
  output: z.object({
    name: z.string(),
    version: z.int(),
    /** Roles that name it. */
    roles: z.array(z.string()),
    changes: z.array(Change),
    warnings: z.array(Remark),
    receipt: z.int(),
  }),
  handler: async ({ name, provider, base_url, credential }, { actor, substrate, egress }) => {
    assertReachable(egress, base_url, credential);
    const row: TargetRow = { name, provider, base_url, credential };
    const target = toTarget(row);
    const models = target?.provider === 'local-ollama' ? await findLocalModels(egress, target) : null;
    await noteOutsideEdits(substrate);
    const { rows, policyVersion } = await readSettled(substrate);
    // Loads the YAML parser, which no daemon needs before this.
    const { withTarget } = await import('../substrate/policy/add-target.ts');
    const document = withTarget(rows, { row, models: models ?? [] });
    const { version, changes, warnings, receipt } = await applyPolicy(substrate, {
      document,
      actor,
      against: policyVersion,
    });
    const after = await substrate.read(readPolicy);
    const naming = after.rows.routing.filter((candidate) => candidate.target === name).map(({ role }) => role);
    return { name, version, roles: [...new Set(naming)], changes: [...changes], warnings: [...warnings], receipt };
  },
});

/** @throws SeedError `invalid_input`, `egress_refused`, `credential_unusable`: said now, and not at the first call */
function assertReachable({ credentials }: Egress, baseUrl: string, name: string | null): void {
  const { origin } = parseBaseUrl(baseUrl);
  if (name === null) return;
  const bound = credentials.facts(name).origin;
  if (bound === origin) return;
  throw new SeedError(
    'egress_refused',
    `The credential ${name} goes to ${bound} only, and this target is at ${origin}.`,
    {
      hint: `Name another credential, or bind this one anew: \`seed credential set ${name} --origin ${origin}\`.`,
    },
  );
}

/** The policy as it stands. @throws SeedError `conflict` while edits from outside wait for the owner's word */
function readSettled(substrate: Substrate) {
  return substrate.read(async (db) => {
    const policy = await readPolicy(db);
    if (policy.pendingEdits === 0) return { rows: policy.rows, policyVersion: policy.policyVersion };
    // A new version would acknowledge them all.
    throw new SeedError(
      'conflict',
      `The policy was edited from outside ${policy.pendingEdits} times since you last looked.`,
      {
        hint: 'See `seed policy history`, then `seed policy ack` or `seed policy rollback N`.',
      },
    );
  });
}
