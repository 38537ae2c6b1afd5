/** Whether anybody answers at a target, found out without a credential and without a cost. */
import type { ProviderName, Target } from '../../substrate/policy/model.ts';
import type { Reaching } from './local-models.ts';
import { listLocalModels } from './local-models.ts';

/** Where a provider lists its models: cheap to ask for, and refused to strangers by those that ask for a key. */
const LISTS: Readonly<Record<Exclude<ProviderName, 'local-ollama'>, string>> = {
  anthropic: '/v1/models',
  gemini: '/v1beta/models',
  nvidia: '/models',
};

/**
 * The models that are there, where the place tells strangers; null where it does not. Whatever it answers, somebody
 * is there.
 *
 * @throws what `fetch` throws; Error where it is to be an Ollama and is none
 */
export async function reach(
  { provider, baseUrl }: Target,
  { fetch, signal }: Reaching,
): Promise<readonly string[] | null> {
  if (provider === 'local-ollama') return listLocalModels(baseUrl, { fetch, signal });
  const answer = await fetch(`${baseUrl.replace(/\/+$/, '')}${LISTS[provider]}`, { signal });
  await answer.body?.cancel();
  return null;
}
