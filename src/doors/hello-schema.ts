/** The shape that the agents' door holds a first line to. */
import * as z from 'zod';
import type { Hello } from './hello.ts';
import { TOOL_SETS } from './hello.ts';

export const HelloLine = z.object({
  seed_hello: z.literal(1),
  as: z.string().max(200).nullable(),
  client: z.string().max(200).nullable(),
  version: z.string().max(40),
  tools: z.enum(TOOL_SETS),
}) satisfies z.ZodType<Hello>;
