/** Whether anybody answers at a target, found out without a credential and without a cost. */
import type { ProviderName, Target } from '../../substrate/policy/model.ts';
import { listLocalModels } from './local-models.ts';
import type { ProviderContext } from './provider.ts';

export interface Reached {
  /** The HTTP status of the answer; whatever it is, somebody answered. */
  readonly status: number;
  /** The models that are there, where the place tells strangers; null where it does not. */
  readonly models: readonly string[] | null;
}

/** Where a provider lists its models: cheap to ask for, and refused to strangers by those that ask for a key. */
const LISTS: Readonly<Record<Exclude<ProviderName, 'local-ollama'>, string>> = {
  anthropic: '/v1/models',
  gemini: '/v1beta/models',
  nvidia: '/models',
};

/** @throws what `fetch` throws; Error where it is an Ollama's address and no Ollama */
export async function reach(
  { provider, baseUrl }: Target,
  { fetch, signal }: Pick<ProviderContext, 'fetch' | 'signal'>,
): Promise<Reached> {
  if (provider === 'local-ollama') return { status: 200, models: await listLocalModels(baseUrl, { fetch, signal }) };
  const answer = await fetch(`${baseUrl.replace(/\/+$/, '')}${LISTS[provider]}`, { signal });
  await answer.body?.cancel();
  return { status: answer.status, models: null };
}
