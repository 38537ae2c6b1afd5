/** Parts of what the targets' tools take and give. */
import type * as z from 'zod';
import { listLocalModels } from '../mind/router/local-models.ts';
import type { Egress } from '../membrane/egress.ts';
import { toSeedError } from '../errors.ts';
import { Name } from '../substrate/policy/fields.ts';
import type { ProviderName, Target } from '../substrate/policy/model.ts';
import { PROVIDERS } from '../substrate/policy/model.ts';
import type { TargetRow } from '../substrate/policy/rows.ts';

export const TargetName: z.ZodString = Name;

/** A row as a target; null for one that names no provider of ours. */
export function toTarget({ name, provider, base_url: baseUrl, credential }: TargetRow): Target | null {
  const isKnown = (PROVIDERS as readonly string[]).includes(provider);
  return isKnown ? { name, provider: provider as ProviderName, baseUrl, credential } : null;
}

/** How long an Ollama has to say which models it has. */
const MODELS_MS_MAX = 500;

/** The models of a target that runs on this machine; null where nothing answers, or not in time. */
export async function findLocalModels(egress: Egress, target: Target): Promise<string[] | null> {
  try {
    const { fetch } = await egress.open({ ...target, credential: null });
    return await listLocalModels(target.baseUrl, { fetch, signal: AbortSignal.timeout(MODELS_MS_MAX) });
  } catch (thrown) {
    if (toSeedError(thrown).code === 'halted') throw thrown;
    // Nothing there, something else there, or too slow: all the same to who looks for models.
    return null;
  }
}
