/** Anthropic's API: Messages, the count of tokens, and the list of models. */
import type { SeedError } from '../../../errors.ts';
import { errorOf, reply, tell } from '../errors.ts';
import { Encoder } from '../stream.ts';
import { likelyTokens } from '../tokens.ts';
import type { ListedModel, Reply, Wire } from '../wire.ts';
import { errorBody, framing, message, statusOf } from './answer.ts';
import { parseCountable, parseRequest } from './request.ts';

export interface AnthropicWire extends Wire {
  /**
   * What `count_tokens` answers: an estimate of what a request counts, made without a model. `model` is the one that
   * was named.
   *
   * @throws SeedError as `parse`
   */
  count(body: unknown): { readonly model: string; readonly reply: Reply };
}

export const anthropic: AnthropicWire = {
  parse: parseRequest,
  answer: (end, facts) => (end.outcome.status === 'complete' ? reply(200, message(end, facts)) : failure(errorOf(end))),
  error: failure,
  stream: (facts) => new Encoder(framing(facts)),
  models: (models) =>
    reply(200, {
      data: models.map(modelOf),
      has_more: false,
      first_id: models[0]?.id ?? null,
      last_id: models.at(-1)?.id ?? null,
    }),
  model: (model) => reply(200, modelOf(model)),
  count: (body) => {
    const { model, shown } = parseCountable(body);
    return { model, reply: reply(200, { input_tokens: likelyTokens(shown) }) };
  },
};

function failure(error: SeedError): Reply {
  const told = tell(error);
  return reply(statusOf(told), errorBody(error), told.headers);
}

function modelOf({ id, createdAt }: ListedModel): object {
  return {
    type: 'model',
    id,
    display_name: id,
    created_at: new Date(createdAt).toISOString(),
    capabilities: null,
    deprecated_at: null,
    lifecycle: 'active',
    line: null,
    max_input_tokens: null,
    max_tokens: null,
    retires_at: null,
  };
}
