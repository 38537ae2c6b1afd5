/**
 * What the worker's model may do: a fixed list of the seed's own tools, each with the arguments that are the
 * model's to give. Everything else of a call (whose task, under which lease, under which key) is the worker's.
 *
 * A tool with an effect is begun on record first. After a crash one that takes an idempotency key is called
 * again under the same key; of any other the model is told that nobody knows, and it is not called again.
 */
import * as z from 'zod';
import { SeedError, toSeedError } from '../../../errors.ts';
import type { Actor } from '../../../substrate/actor.ts';
import { findGrantsNamed } from '../../../substrate/identity/grants.ts';
import { isServiceName } from '../../../substrate/identity/names.ts';
import { holds } from '../../../substrate/identity/scopes.ts';
import { startTool } from '../../../substrate/mind/worker-acts.ts';
import type { ToolState } from '../../../substrate/sessions/model.ts';
import type { ReadHandle, Substrate } from '../../../substrate/substrate.ts';
import type { ToolCall, ToolDefinition, ToolResult } from '../../../substrate/transcript.ts';
import type { Act } from '../../organ.ts';
import { OF_THE_MOMENT } from '../refusals.ts';
import type { Authority } from './authority.ts';

/** A tool of the seed, as the worker needs to know it. */
export interface ToolFace {
  readonly name: string;
  readonly description: string;
  /** The scope an actor must hold; null where none is needed. */
  readonly scope: string | null;
  readonly input: z.ZodType;
  /** Its answer in readable lines. */
  readonly text?: (output: unknown) => string;
}

/** The task that a call is made for. */
export interface ToolWork {
  readonly task: string;
  readonly lease: number;
  readonly session: string;
}

interface Offer {
  /** As the model calls it. */
  readonly name: string;
  /** The seed's tool that it is. */
  readonly tool: string;
  /** Its description for the model; the tool's own where it says nothing. */
  readonly says?: string;
  /** Arguments that the model may give, and those of them that it must. */
  readonly takes: readonly string[];
  readonly must: readonly string[];
  /** What stands for an argument that the model leaves out. */
  readonly usual?: Readonly<Record<string, unknown>>;
  /** What the worker gives. */
  readonly given?: (work: ToolWork) => Readonly<Record<string, unknown>>;
  /** It changes something. */
  readonly effect: boolean;
  /** It takes an idempotency key. */
  readonly keyed?: boolean;
  /** With it the work on the task is over. */
  readonly ends?: boolean;
}

const OFFERS: readonly Offer[] = [
  {
    name: 'memory_search',
    tool: 'memory_search',
    takes: ['query', 'space', 'kind', 'subject', 'limit'],
    must: ['query'],
    effect: false,
  },
  { name: 'memory_get', tool: 'memory_get', takes: ['id'], must: ['id'], effect: false },
  {
    name: 'memory_write',
    tool: 'memory_write',
    takes: ['text', 'space', 'kind', 'subject'],
    must: ['text'],
    // The worker has no space of its own: what one task taught it another's adder could ask for.
    usual: { space: 'shared' },
    given: ({ task }) => ({ source: `task ${task}` }),
    effect: true,
    keyed: true,
  },
  {
    name: 'bus_send',
    tool: 'bus_send',
    says: 'Use when the owner or another agent should know something before the task is done; nobody answers you here. Your result needs no message: whoever added the task gets it.',
    takes: ['to', 'text', 'thread'],
    must: ['to', 'text'],
    effect: true,
    keyed: true,
  },
  { name: 'receipt_note', tool: 'receipt_note', takes: ['text', 'action'], must: ['text'], effect: true },
  {
    name: 'task_list',
    tool: 'task_list',
    says: 'Use when you need to know what another task is, and what became of it.',
    takes: ['id'],
    must: ['id'],
    effect: false,
  },
  {
    name: 'task_progress',
    tool: 'task_update',
    says: 'Use when whoever added your task should see how far you have come.',
    takes: ['note'],
    must: ['note'],
    given: ({ task, lease }) => ({ do: 'progress', id: task, lease }),
    effect: true,
  },
  {
    name: 'task_release',
    tool: 'task_update',
    says: 'Use when you cannot do your task: say why. It is left to others then, and your work on it is over.',
    takes: ['note'],
    must: ['note'],
    given: ({ task, lease }) => ({ do: 'release', id: task, lease }),
    effect: true,
    ends: true,
  },
];

/** The seed's tools that are among them. */
export const WORKER_TOOLS: readonly string[] = [...new Set(OFFERS.map(({ tool }) => tool))];

/** Characters of a tool's answer that the model is shown; hosts and contexts have their limits. */
const RESULT_CHARS_MAX = 20_000;

const IN_DOUBT =
  'Nobody knows whether this happened: the seed stopped in the middle of it. It was not called again. Look whether it did, if you can; do it again only if twice does no harm, and say so in your result.';

/** What a call of the model came to. */
export interface Used {
  readonly result: ToolResult;
  /** The work on the task is over with it. */
  readonly ends: boolean;
}

interface Parts {
  readonly substrate: Substrate;
  readonly act: Act;
  readonly fault: (point: string) => void;
}

export interface Caller {
  readonly actor: Actor;
  readonly authority: Authority;
  readonly work: ToolWork;
  readonly signal: AbortSignal;
}

interface Ready extends Offer {
  readonly face: ToolFace;
  readonly definition: ToolDefinition;
  readonly arguments: z.ZodObject;
}

export class Toolbox {
  readonly #parts: Parts;
  readonly #ready: ReadonlyMap<string, Ready>;

  /** @throws Error where the seed lacks one of the tools, or an argument: a defect of the wiring */
  constructor(parts: Parts, faces: readonly ToolFace[]) {
    this.#parts = parts;
    const byName = new Map(faces.map((face) => [face.name, face]));
    this.#ready = new Map(OFFERS.map((offer) => [offer.name, prepare(offer, byName.get(offer.tool))]));
  }

  /** The tools that an actor may use, as a model is told of them. */
  offered(actor: Actor): ToolDefinition[] {
    return [...this.#ready.values()].filter((ready) => isOpen(ready, actor)).map(({ definition }) => definition);
  }

  /**
   * Carries out one call. What is refused the model is told as the call's result.
   *
   * @throws SeedError where the call could not be made or its end is not known: it stands as it was left
   */
  async use(call: ToolCall, state: ToolState, caller: Caller): Promise<Used> {
    const ready = this.#ready.get(call.name);
    if (ready === undefined || !isOpen(ready, caller.actor))
      return answer(call, 'error', `There is no tool ${call.name}.`);
    const { actor, work, signal } = caller;
    try {
      const input = this.#inputOf(ready, call, state, work);
      if (ready.name === 'bus_send') await this.#assertRecipients(input, caller);
      if (ready.effect) {
        if (state.state === 'in_doubt' && ready.keyed !== true) return answer(call, 'error', IN_DOUBT);
        if (state.state === 'not_started') {
          await startTool(this.#parts.substrate, actor, { session: work.session, call: call.id, tool: ready.tool });
          this.#parts.fault('worker.tool.begun');
        }
      }
      const output = await this.#parts.act(ready.tool, input, { actor, signal });
      this.#parts.fault('worker.tool.done');
      const { text } = ready.face;
      return {
        ...answer(call, 'ok', text === undefined ? JSON.stringify(output) : text(output)),
        ends: ready.ends === true,
      };
    } catch (thrown) {
      const error = toSeedError(thrown);
      // Refusals of the moment are not the model's business, and another run may go on from there.
      if (error.kind !== 'refused' || OF_THE_MOMENT.has(error.code)) throw thrown;
      return answer(call, 'error', `${error.message} ${error.hint} (${error.code})`);
    }
  }

  /** @throws SeedError `invalid_input` for arguments that are not the model's to give */
  #inputOf(ready: Ready, { arguments: text }: ToolCall, state: ToolState, work: ToolWork): Record<string, unknown> {
    // A tool call's arguments are the text of an object, or it had not been taken for one.
    const parsed = ready.arguments.safeParse(JSON.parse(text));
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const where = issue?.path.join('.') ?? '';
      throw new SeedError(
        'invalid_input',
        `${where === '' ? '' : `${where}: `}${issue?.message ?? 'Not acceptable.'}`,
        {
          hint: `${ready.name} takes ${ready.takes.join(', ')}.`,
        },
      );
    }
    const key = ready.keyed === true ? { idempotency_key: state.idempotencyKey } : {};
    return { ...ready.usual, ...parsed.data, ...ready.given?.(work), ...key };
  }

  /**
   * Whom the worker writes to: the owner and local agents, and of helpers from outside the one whose task it
   * is. A text that it came across cannot make it a way out.
   */
  async #assertRecipients({ to }: Record<string, unknown>, { authority }: Caller): Promise<void> {
    const names = (Array.isArray(to) ? to : [to]).map(String);
    const barred = await this.#parts.substrate.read((db) => firstBarred(db, names, authority));
    if (barred === null) return;
    throw new SeedError('forbidden', `The worker does not write to ${barred}.`, {
      hint: 'Write to the owner, to a local agent, or to whoever added the task.',
    });
  }
}

async function firstBarred(db: ReadHandle, names: readonly string[], authority: Authority): Promise<string | null> {
  for (const name of names) {
    if (name === 'owner') continue;
    const [grant] = await findGrantsNamed(db, name);
    if (grant !== undefined && grant.id === authority.grant) continue;
    // Another organ would take it for work, and the worker could keep itself busy.
    if (grant?.kind !== 'agent' || isServiceName(grant.name) || authority.kind === 'helper') return name;
  }
  return null;
}

/** The result of a call that is one too many in its answer. */
export function tooMany(call: ToolCall, max: number): Used {
  return answer(call, 'error', `This was not done: an answer may call ${max} tools. Call it again if it is wanted.`);
}

function isOpen({ face: { scope } }: Ready, { scopes }: Actor): boolean {
  return scope === null || holds(scopes, scope);
}

function prepare(offer: Offer, face: ToolFace | undefined): Ready {
  const { name, takes, must, usual = {} } = offer;
  if (face === undefined || !(face.input instanceof z.ZodObject))
    throw new Error(`The worker needs the tool ${offer.tool}.`);
  const shape: Readonly<Record<string, z.ZodType>> = face.input.shape;
  const missing = takes.find((argument) => shape[argument] === undefined);
  if (missing !== undefined) throw new Error(`${offer.tool} has no argument ${missing}.`);
  const picked = takes.map((argument) => {
    const schema = shape[argument] as z.ZodType;
    if (Object.hasOwn(usual, argument)) return [argument, bare(schema).default(usual[argument])] as const;
    return [argument, must.includes(argument) ? bare(schema) : schema] as const;
  });
  const schema = z.strictObject(Object.fromEntries(picked));
  const { $schema: _dialect, ...parameters } = z.toJSONSchema(schema, { io: 'input' });
  const description = offer.says ?? face.description;
  return {
    ...offer,
    face,
    arguments: schema,
    definition: { name, description, parameters: JSON.stringify(parameters) },
  };
}

/** What must be given, or has another usual value here, without what the tool itself says of leaving it out. */
function bare(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return schema.unwrap() as z.ZodType;
  return schema;
}

function answer({ id }: ToolCall, status: ToolResult['status'], text: string): Used {
  const cut = text.length > RESULT_CHARS_MAX ? `${text.slice(0, RESULT_CHARS_MAX)} … (cut)` : text;
  return {
    result: { type: 'tool_result', call: id, status, content: [{ type: 'text', text: cut.toWellFormed() }] },
    ends: false,
  };
}
