/** What clients see of the tools: which ones, and in what words and schemas. */
import * as z from 'zod';
import type { Actor } from '../substrate/actor.ts';
import type { Tool } from './define.ts';

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

/** JSON Schema without what only costs tokens: the dialect (MCP's default), and bounds of safe integers. */
function toSchema(schema: z.ZodType, io: 'input' | 'output'): ObjectSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema }) => {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  return { ...rest, type: 'object' };
}

type Schema = Readonly<Record<string, unknown>>;

/**
 * An answer's parts by name and type. What is in them the answer itself shows, with names that speak;
 * spelled out here, it would be most of the list's tokens.
 */
function outline(schema: Schema): Schema {
  const either = schema['anyOf'] as readonly Schema[] | undefined;
  const type = either?.map((one) => one['type']) ?? schema['type'];
  const { description } = schema;
  return { ...(isTypes(type) ? { type } : {}), ...(description === undefined ? {} : { description }) };
}

function isTypes(type: unknown): boolean {
  return typeof type === 'string' || (Array.isArray(type) && type.every((one) => typeof one === 'string'));
}

/** What `doors/mcp.ts` answers with when a tool refuses or fails. */
const REFUSED = { required: ['code', 'message', 'hint'] } as const;

/**
 * An answer or a refusal: many clients (all that are built on the SDK's older line) hold what comes
 * with `isError` against this schema too, and would show their own complaint instead of the refusal.
 */
function toOutputSchema(schema: z.ZodType): ObjectSchema {
  const { properties, required } = toSchema(schema, 'output');
  const parts = Object.entries(properties as Readonly<Record<string, Schema>>);
  const answer = { properties: Object.fromEntries(parts.map(([name, part]) => [name, outline(part)])), required };
  return { type: 'object', anyOf: [answer, REFUSED] };
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
