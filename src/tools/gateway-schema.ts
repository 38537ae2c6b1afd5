import * as z from 'zod';
import { MODEL_PATTERN } from '../substrate/gateway-models.ts';

/** A model as clients name it, or the beginning of such names. */
export const ModelPattern = z
  .string()
  .regex(MODEL_PATTERN, 'a model’s name, or the beginning of one with * at its end, such as claude-*');
