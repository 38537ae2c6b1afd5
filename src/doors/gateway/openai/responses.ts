/** OpenAI's other API: Responses, which Codex speaks. Models and errors are as in Chat Completions. */
import { errorOf, reply } from '../errors.ts';
import { Encoder } from '../stream.ts';
import type { Wire } from '../wire.ts';
import { responseBody, ResponseFraming } from './responses-answer.ts';
import { parseResponseRequest } from './responses-request.ts';
import { openai } from './wire.ts';

export const responses: Wire = {
  ...openai,
  parse: (body) => parseResponseRequest(body),
  answer: (end, facts) =>
    end.outcome.status === 'complete' ? reply(200, responseBody(end, facts)) : openai.error(errorOf(end)),
  stream: (facts) => new Encoder(new ResponseFraming(facts)),
};
