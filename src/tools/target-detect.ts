import * as z from 'zod';
import type { Actor } from '../substrate/actor.ts';
import { receiptEffect } from '../substrate/effect.ts';
import type { CredentialVariable } from '../substrate/home/credentials.ts';
import { CREDENTIAL_PROVIDERS, CREDENTIAL_VARIABLES } from '../substrate/home/credentials.ts';
import type { Egress } from '../membrane/egress.ts';
import { applyPolicy } from '../substrate/policy/apply.ts';
import { PROVIDERS } from '../substrate/policy/model.ts';
import { readPolicy } from '../substrate/policy/policy.ts';
import type { StarterNeeds, StarterTarget } from '../substrate/policy/starter.ts';
import type { Substrate } from '../substrate/substrate.ts';
import { defineTool } from './define.ts';
import { findLocalModels, toTarget } from './target-schema.ts';

const Found = z.object({
  target: z.string(),
  /** The environment's name for its key, which was bound to the target's origin; null where none is needed. */
  variable: z.enum(CREDENTIAL_VARIABLES).nullable(),
  models: z.array(z.string()),
});

export const targetDetect = defineTool({
  name: 'target_detect',
  title: 'Look for models on this machine',
  description:
    'Use when a new home should begin with what is there: keys under allow-listed names of the environment, and an Ollama on this machine.',
  scope: null,
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  input: z.strictObject({
    /** Where an Ollama answers, if not where the starter file says; on this machine. */
    ollama: z.string().max(500).optional(),
  }),
  output: z.object({
    found: z.array(Found),
    /** Roles that can run now; empty where the policy was left alone. */
    roles: z.array(z.string()),
    /** Targets that are in the policy and that no role names yet. */
    unused: z.array(z.string()),
    version: z.int().nullable(),
  }),
  handler: async ({ ollama }, { substrate, egress, actor }) => {
    const { rows } = await substrate.read(readPolicy);
    // The owner's policy is the owner's; this is for a home that has none.
    const isNew = rows.targets.length === 0 && rows.routing.length === 0 && rows.ceilings.length === 0;
    const present = isNew ? await lookAround(egress, ollama) : [];
    const found = present.map(({ needs, variable, models }) => ({ target: needs.name, variable, models: [...models] }));
    const { renderStarter } = await import('../substrate/policy/starter.ts');
    const starter = renderStarter({ targets: present.map(toStarter) });
    if (starter === null) return { found, roles: [], unused: found.map(({ target }) => target), version: null };
    for (const each of present) await bind(substrate, egress, actor, each);
    const { version } = await applyPolicy(substrate, { document: starter.document, actor, against: null });
    return { found, roles: [...starter.roles], unused: [...starter.unused], version };
  },
});

interface Present {
  readonly needs: StarterNeeds;
  readonly baseUrl: string;
  readonly variable: CredentialVariable | null;
  readonly models: readonly string[];
}

/** The starter file's targets that could be called from here. */
async function lookAround(egress: Egress, ollama: string | undefined): Promise<Present[]> {
  const { starterTargets } = await import('../substrate/policy/starter.ts');
  const found = starterTargets().map(async (needs): Promise<Present[]> => {
    if (needs.credential !== null) {
      const variable = variableFor(egress, needs.provider);
      return variable === null ? [] : [{ needs, baseUrl: needs.baseUrl, variable, models: [] }];
    }
    const baseUrl = ollama ?? needs.baseUrl;
    const target = toTarget({ ...needs, base_url: baseUrl });
    const models = target === null ? null : await findLocalModels(egress, target);
    return models === null || models.length === 0 ? [] : [{ needs, baseUrl, variable: null, models }];
  });
  return (await Promise.all(found)).flat();
}

function variableFor({ credentials }: Egress, provider: string): CredentialVariable | null {
  const known = PROVIDERS.find((name) => name === provider);
  return CREDENTIAL_VARIABLES.find((name) => CREDENTIAL_PROVIDERS[name] === known && credentials.isSet(name)) ?? null;
}

function toStarter({ needs: { name }, baseUrl, models }: Present): StarterTarget {
  return { name, baseUrl, models };
}

/** Binds a name of the environment to the one origin that it may go to; the key itself is not kept. */
async function bind(
  substrate: Substrate,
  { credentials }: Egress,
  actor: Actor,
  { needs: { credential: name }, baseUrl, variable }: Present,
): Promise<void> {
  if (name === null || variable === null || credentials.has(name)) return;
  const { origin } = new URL(baseUrl);
  const options = {
    action: 'credential.set',
    actor,
    subject: { type: 'credential', id: name },
    detail: { origin, source: variable, replaced: 'no' },
  };
  await receiptEffect(substrate, options, () => credentials.set({ name, origin, secret: { variable } }));
}
