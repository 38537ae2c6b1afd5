/** The models of an Ollama (its API, "List local models"). */
import * as z from 'zod';

const MODELS_MAX = 500;

/** With what a place is looked at. */
export interface Reaching {
  readonly fetch: typeof globalThis.fetch;
  readonly signal: AbortSignal;
}

const Tags = z.object({
  models: z
    .array(
      z.object({
        name: z.string().max(200),
        // A model that runs elsewhere under a local name.
        remote_host: z.string().optional(),
        remote_model: z.string().optional(),
        details: z.object({ family: z.string().nullish() }).nullish(),
      }),
    )
    .max(MODELS_MAX),
});

/** Models that only turn text into vectors. */
const EMBEDDING = /embed|(?:^|-)bert$|^bge|minilm/i;

/**
 * The models that answer there and run there, in its own order: the one changed last first.
 *
 * @throws what `fetch` throws; Error where it is no Ollama
 */
export async function listLocalModels(baseUrl: string, { fetch, signal }: Reaching): Promise<string[]> {
  const answer = await fetch(`${baseUrl.replace(/\/+$/, '')}/api/tags`, { signal });
  if (!answer.ok) {
    await answer.body?.cancel();
    throw new Error(`It answered ${answer.status}.`);
  }
  const { models } = Tags.parse(await answer.json());
  return models
    .filter(({ remote_host: host, remote_model: model }) => host === undefined && model === undefined)
    .filter(({ name, details }) => !EMBEDDING.test(name) && !EMBEDDING.test(details?.family ?? ''))
    .map(({ name }) => name);
}
