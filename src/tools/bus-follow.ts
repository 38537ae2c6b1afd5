import * as z from 'zod';
import { followTopic } from '../substrate/bus/bus.ts';
import { Topic } from './bus-view.ts';
import { defineTool } from './define.ts';

export const busFollow = defineTool({
  name: 'bus_follow',
  title: 'Follow a topic',
  description:
    'Use when you want what is sent to topic:NAME in your inbox, from now on; or no longer, with leave: true. It holds until you leave it.',
  scope: 'bus.receive',
  surface: 'full',
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({ topic: Topic, leave: z.boolean().default(false) }),
  output: z.object({ topic: z.string(), following: z.boolean(), receipt: z.int() }),
  text: ({ topic, following, receipt }) =>
    `You ${following ? 'follow' : 'no longer follow'} topic:${topic}. Receipt ${receipt}.`,
  handler: async ({ topic, leave }, { actor, substrate }) => {
    const { seq } = await followTopic(substrate, actor, { topic, on: !leave });
    return { topic, following: !leave, receipt: seq };
  },
});
