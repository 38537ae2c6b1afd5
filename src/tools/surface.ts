/** What clients see of the tools: which ones, and in what words and schemas. */
import * as z from 'zod';
import type { Actor } from '../substrate/actor.ts';
import { holds } from '../substrate/identity/scopes.ts';
import type { Tool } from './define.ts';

/** One entry of `tools/list` (MCP, "Tool"). */
export interface ToolView {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: ObjectSchema;
  readonly outputSchema: ObjectSchema;
  readonly annotations: Annotations;
}

/** MCP, "ToolAnnotations". What a reader would take for granted is left out: each costs tokens once a tool. */
interface Annotations {
  readonly readOnlyHint: boolean;
  /** Says something of a tool that writes alone. */
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: true;
  readonly openWorldHint: false;
}

interface ObjectSchema {
  readonly type: 'object';
  readonly [keyword: string]: unknown;
}

/**
 * What only guards: whoever oversteps it is refused in words that name the argument and what it should be,
 * and nobody else needs to know.
 */
const GUARDS = ['maxLength', 'minLength', 'maxItems', 'minItems', 'pattern', 'propertyNames', 'additionalProperties'];
/** From here on a bound of a number is a guard, too. */
const NUMBER_GUARD = 100_000;

/** JSON Schema without what only costs tokens: the dialect (MCP's default), and guards. */
function toSchema(schema: z.ZodType, io: 'input' | 'output'): ObjectSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema }) => {
      if (typeof jsonSchema['as'] === 'string') referTo(jsonSchema, jsonSchema['as']);
      for (const guard of GUARDS) delete jsonSchema[guard];
      if (Math.abs(jsonSchema.maximum ?? 0) >= NUMBER_GUARD) delete jsonSchema.maximum;
      if (Math.abs(jsonSchema.minimum ?? 0) >= NUMBER_GUARD) delete jsonSchema.minimum;
    },
  });
  return { ...rest, type: 'object' };
}

/** An argument that has the form of another tool's (`.meta({ as: TOOL })`) is spelled out there. */
function referTo(jsonSchema: Record<string, unknown>, tool: string): void {
  const { type } = jsonSchema;
  for (const keyword of Object.keys(jsonSchema)) delete jsonSchema[keyword];
  Object.assign(jsonSchema, { type, description: `As in ${tool}` });
}

type Schema = Readonly<Record<string, unknown>>;

/**
 * An answer's parts by name and type. What is in them the answer itself shows, with names that speak, and
 * so it does with what may be missing; spelled out here, they would be most of the list's tokens.
 */
function outline(schema: Schema): Schema | null {
  const either = schema['anyOf'] as readonly Schema[] | undefined;
  const types = either?.map((one) => one['type']) ?? schema['type'];
  const { description } = schema;
  if (description !== undefined) return isTypes(types) ? { type: types, description } : { description };
  if (Array.isArray(types) && types.includes('null')) return null;
  return isTypes(types) ? { type: types } : {};
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
  const { properties } = toSchema(schema, 'output');
  const parts = Object.entries(properties as Readonly<Record<string, Schema>>).flatMap(([name, part]) => {
    const shown = outline(part);
    return shown === null ? [] : [[name, shown] as const];
  });
  const answer = { properties: Object.fromEntries(parts) };
  return { type: 'object', anyOf: [answer, REFUSED] };
}

/** A tool as `tools/list` shows it. */
export function viewTool(tool: Tool): ToolView {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: toSchema(tool.input, 'input'),
    outputSchema: toOutputSchema(tool.output),
    annotations: annotationsOf(tool),
  };
}

function annotationsOf({ access, annotations }: Tool): Annotations {
  if (access === 'read') return { readOnlyHint: true, openWorldHint: false };
  return {
    readOnlyHint: false,
    destructiveHint: annotations?.destructive ?? false,
    ...(annotations?.idempotent === true ? { idempotentHint: true } : {}),
    openWorldHint: false,
  };
}

/** Whether an actor may call a tool through a client's door at all. */
function isOpenTo(tool: Tool, actor: Actor): boolean {
  return tool.surface !== 'owner' && (tool.scope === null || holds(actor.scopes, tool.scope));
}

/** Whether a tool is shown to an actor that asked for this much. */
export function isShownTo(tool: Tool, actor: Actor, surface: 'daily' | 'full'): boolean {
  return isOpenTo(tool, actor) && (surface === 'full' || tool.surface === 'daily');
}
