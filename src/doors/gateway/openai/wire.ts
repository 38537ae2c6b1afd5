/** OpenAI's API: Chat Completions and the list of models. */
import { errorOf, reply, tell } from '../errors.ts';
import { Encoder } from '../stream.ts';
import type { ListedModel, Reply, Wire } from '../wire.ts';
import { completionOf, errorBody, framing } from './answer.ts';
import { parseRequest } from './request.ts';

export const openai: Wire = {
  parse: (body) => parseRequest(body),
  answer: (end, facts) =>
    end.outcome.status === 'complete' ? reply(200, completionOf(end, facts)) : failure(errorOf(end)),
  error: failure,
  stream: (facts) => new Encoder(framing(facts)),
  models: (models) => reply(200, { object: 'list', data: models.map(modelOf) }),
  model: (model) => reply(200, modelOf(model)),
};

function failure(error: Parameters<Wire['error']>[0]): Reply {
  const { status, headers } = tell(error);
  return reply(status, errorBody(error), headers);
}

function modelOf({ id, createdAt }: ListedModel): object {
  return { id, object: 'model', created: Math.floor(createdAt / 1_000), owned_by: 'owner' };
}
