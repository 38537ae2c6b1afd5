/** What clients see of the tools: which ones, and in what words and schemas. */
import * as z from 'zod';
import type { Actor } from '../substrate/actor.ts';
import type { Tool } from './define.ts';
import { ReceiptView } from './receipt-schema.ts';

/** One entry of `tools/list` (MCP, "Tool"). */
export interface ToolView {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: ObjectSchema;
  readonly outputSchema: ObjectSchema;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly destructiveHint: boolean;
    readonly idempotentHint: boolean;
    readonly openWorldHint: false;
  };
}

interface ObjectSchema {
  readonly type: 'object';
  readonly [keyword: string]: unknown;
}

/** What stands for a receipt in the list: spelled out, it would be most of the list's tokens. */
const RECEIPT = { type: 'object', description: 'A receipt' } as const;

/**
 * JSON Schema without what only costs tokens: the dialect (MCP's default), bounds of safe integers,
 * and of answers that nothing else is in them, and each part of a receipt.
 */
function toSchema(schema: z.ZodType, io: 'input' | 'output'): ObjectSchema {
  const {
    $schema: _dialect,
    $defs,
    ...rest
  } = z.toJSONSchema(schema, {
    io,
    override: ({ zodSchema, jsonSchema }) => {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      if (zodSchema !== ReceiptView) return;
      for (const keyword of Object.keys(jsonSchema)) delete jsonSchema[keyword];
      Object.assign(jsonSchema, RECEIPT);
    },
  });
  // Definitions that only a receipt referred to go with it.
  const isReferred = JSON.stringify(rest).includes('"$ref":"#/$defs/');
  return { type: 'object', ...rest, ...(isReferred ? { $defs } : {}) } as ObjectSchema;
}

/** What `doors/mcp.ts` answers with when a tool refuses or fails. */
const REFUSED = { required: ['code', 'message', 'hint'] } as const;

/**
 * An answer or a refusal: many clients (all that are built on the SDK's older line) hold what comes
 * with `isError` against this schema too, and would show their own complaint instead of the refusal.
 */
function toOutputSchema(schema: z.ZodType): ObjectSchema {
  const { type, $defs, ...answer } = toSchema(schema, 'output');
  return { type, anyOf: [answer, REFUSED], ...($defs === undefined ? {} : { $defs }) };
}

/** A tool as `tools/list` shows it. */
export function viewTool(tool: Tool): ToolView {
  const reads = tool.access === 'read';
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: toSchema(tool.input, 'input'),
    outputSchema: toOutputSchema(tool.output),
    annotations: {
      readOnlyHint: reads,
      destructiveHint: tool.annotations?.destructive ?? false,
      idempotentHint: reads || (tool.annotations?.idempotent ?? false),
      openWorldHint: false,
    },
  };
}

/** Whether an actor may call a tool through a client's door at all. */
function isOpenTo(tool: Tool, actor: Actor): boolean {
  return tool.surface !== 'owner' && (tool.scope === null || actor.scopes.has(tool.scope));
}

/** Whether a tool is shown to an actor that asked for this much. */
export function isShownTo(tool: Tool, actor: Actor, surface: 'daily' | 'full'): boolean {
  return isOpenTo(tool, actor) && (surface === 'full' || tool.surface === 'daily');
}
