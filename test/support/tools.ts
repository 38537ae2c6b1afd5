/** Every tool, loaded. */
import { allTools } from '../../src/tools/catalogue.ts';
import type { Tool } from '../../src/tools/define.ts';

export const TOOLS: readonly Tool[] = await allTools();
