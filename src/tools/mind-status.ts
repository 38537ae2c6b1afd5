import * as z from 'zod';
import { defineTool } from './define.ts';
import { MindView, pulseOf, sayMind, sayOrgan, viewMind } from './mind-view.ts';
import { lines } from './text.ts';

export const mindStatus = defineTool({
  name: 'mind_status',
  title: 'What the seed does by itself',
  description: 'Use when you want to see which of the seed’s own organs work, and why the others do not.',
  scope: 'seed.status',
  surface: 'full',
  access: 'read',
  input: z.strictObject({}),
  output: MindView,
  text: (view) => lines(sayMind(view), ...view.organs.map(sayOrgan)),
  handler: async (_input, { substrate, mind }) => {
    const pulse = await pulseOf(mind);
    return substrate.read((db) => viewMind(db, { pulse }));
  },
});
