/** The name of a local agent, as tools at the owner's door take it. */
import * as z from 'zod';
import { isAgentName } from '../substrate/identity/names.ts';

export const AgentName = z.string().max(64).refine(isAgentName, 'the name of a local agent');
