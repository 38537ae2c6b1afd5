/** Every tool, loaded, for whoever needs all of them at once. */
import { allTools } from './catalogue.ts';
import type { Tool } from './define.ts';

export const TOOLS: readonly Tool[] = await allTools();
