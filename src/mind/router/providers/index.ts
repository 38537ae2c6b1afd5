/** Every provider there is. Each loads its SDK with its first call, so that an idle daemon stays small. */
import type { ProviderName } from '../../../substrate/policy/model.ts';
import type { Provider } from '../provider.ts';
import { anthropic } from './anthropic.ts';
import { gemini } from './gemini.ts';
import { localOllama } from './local-ollama.ts';
import { nvidia } from './nvidia.ts';

export const PROVIDER_MODULES: Readonly<Record<ProviderName, Provider>> = {
  anthropic,
  gemini,
  nvidia,
  'local-ollama': localOllama,
};
