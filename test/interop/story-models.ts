/** The models of the story: one sorts messages, one works and is cut off in the middle of its answer, one goes on. */
import type { Behaviour, ProviderStub, StubRequest } from '../support/provider-stub.ts';
import { startProviderStub } from '../support/provider-stub.ts';

export const RESULT = 'The login works again: an empty password is refused before it is looked up.';
const FIRST_PART = RESULT.slice(0, 30);
const USAGE = { input: 200, output: 20 };
const VERDICT = { kind: 'task', title: 'Mend the login', subsystem: 'website' };
export const LESSON = { text: 'The login failed on an empty password.', subject: 'website' };

export function startStoryModels(): Promise<ProviderStub> {
  return startProviderStub(answer);
}

/** What each of them says follows from the conversation that it is shown and from nothing else. */
async function answer({ provider, body }: StubRequest): Promise<Behaviour> {
  if (provider === 'local-ollama') return says([JSON.stringify(VERDICT)]);
  const { messages } = JSON.parse(body) as { readonly messages: readonly { readonly role: string }[] };
  if (!messages.some(({ role }) => role === 'assistant')) {
    const call = { name: 'memory_write', arguments: JSON.stringify(LESSON) };
    return { do: 'answer', answer: { calls: [call], usage: USAGE } };
  }
  if (provider === 'anthropic') {
    const text = [FIRST_PART.slice(0, 12), FIRST_PART.slice(12)];
    // The message's head, a ping, the head of its text and both pieces.
    return { do: 'cut', after: 5, answer: { text } };
  }
  return says([body.includes(FIRST_PART) ? RESULT.slice(FIRST_PART.length) : RESULT]);
}

function says(text: readonly string[]): Behaviour {
  return { do: 'answer', answer: { text, usage: USAGE } };
}

/** Three targets at one address; the digestor has the small one, the worker the others. */
export function storyPolicy({ baseUrl }: Pick<ProviderStub, 'baseUrl'>): string {
  return `
version: 1
timezone: UTC
targets:
  cloud:   { provider: anthropic, base_url: "${baseUrl('anthropic')}" }
  reserve: { provider: nvidia, base_url: "${baseUrl('nvidia')}" }
  local:   { provider: local-ollama, base_url: "${baseUrl('local-ollama')}" }
roles:
  worker:
    dispatch: any
    max_output_tokens: 1000
    candidates: [ { target: cloud, model: able, tier: 2 }, { target: reserve, model: able, tier: 2 } ]
  digestor:
    dispatch: any
    max_output_tokens: 300
    candidates: [ { target: local, model: small, tier: 3 } ]
ceilings: [ { scope: seed, window: day, usd: "1.00" } ]
prices:
  - { target: cloud, model: able, input_usd_per_mtok: "3", output_usd_per_mtok: "15" }
  - { target: reserve, model: able, input_usd_per_mtok: "1", output_usd_per_mtok: "2" }
  - { target: local, model: small, input_usd_per_mtok: "0", output_usd_per_mtok: "0" }
`;
}
