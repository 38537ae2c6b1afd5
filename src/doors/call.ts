/**
 * The pipeline that every call goes through, whichever door it came in by: find the tool, check the
 * scope, check the owner passphrase where it is asked for, parse the input, run, parse the output.
 *
 * A tool that changes something leaves its receipt by itself. Here the others are left: of what was
 * refused before it got that far, and of what a helper from outside has read.
 */
import * as z from 'zod';
import { SeedError, toSeedError } from '../errors.ts';
import type { Actor } from '../substrate/actor.ts';
import type { Egress } from '../membrane/egress.ts';
import type { KeyService } from '../membrane/keys.ts';
import type { Notifiers } from '../membrane/notify.ts';
import type { Cut } from '../membrane/streams.ts';
import type { Mind } from '../mind/mind.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import { holds } from '../substrate/identity/scopes.ts';
import type { Substrate, SubstrateReader } from '../substrate/substrate.ts';
import type { Daemon } from '../tools/daemon.ts';
import type { Progress, Tool } from '../tools/define.ts';
import { toolAction } from '../tools/define.ts';
import { explainIssues } from '../tools/plain-words.ts';
import * as limits from './limits.ts';
import { isWellFormed } from './well-formed.ts';
import { RefusalReceipts } from './refusal-receipts.ts';

/** One call, as a door understood it. */
export interface CallRequest {
  readonly tool: string;
  readonly input: unknown;
  readonly actor: Actor;
  /** The grant that the actor came in by. */
  readonly grant?: Grant | undefined;
  /** Cuts off what this call came in by, where that was registered. */
  readonly own?: Cut | undefined;
  /** What the owner typed, at the owner's door only. */
  readonly passphrase?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Reads what stands behind an address, which may be a tool that clients are not shown. */
  readonly asResource?: boolean | undefined;
  /** Told the number of the receipt that a read left, before the answer is given. */
  readonly onRead?: ((receipt: number) => void) | undefined;
}

export type Call = (request: CallRequest) => Promise<unknown>;

export interface PipelineOptions {
  /** The tool of a name; null where there is none. */
  readonly find: (name: string) => Promise<Tool | null>;
  /** The whole substrate, or the reading half of it where this process may not write. */
  readonly substrate: Substrate | SubstrateReader;
  readonly daemon: Daemon;
  /** Absent where this process may only read. */
  readonly keys?: KeyService | undefined;
  /** Absent where this process may only read. */
  readonly mind?: Mind | undefined;
  readonly egress: Egress;
  readonly notifiers: Notifiers;
}

const NEVER = new AbortController().signal;

/** Stands where a process only reads: whoever reaches for a part of it is told so. */
const NO_MIND: Mind = {
  get router(): never {
    throw readOnly();
  },
  get steps(): never {
    throw readOnly();
  },
  drain: () => Promise.reject(readOnly()),
  pulse: null,
};

function canWrite(substrate: Substrate | SubstrateReader): substrate is Substrate {
  return 'operate' in substrate;
}

/** @throws SeedError `internal` where its file cannot be loaded, as while another version is put in its place */
async function found(find: PipelineOptions['find'], name: string): Promise<Tool | null> {
  try {
    return await find(name);
  } catch (cause) {
    throw new SeedError('internal', 'A part of the seed’s program cannot be loaded; nothing was done.', {
      hint: 'Was it replaced while it ran? Stop the seed and start it again.',
      cause,
    });
  }
}

/** Builds the pipeline over one substrate. */
export function createCall(options: PipelineOptions): Call {
  const { find, substrate, daemon, keys, egress, notifiers, mind = NO_MIND } = options;
  const refusals = canWrite(substrate) ? new RefusalReceipts(substrate) : null;

  return async (request) => {
    const { actor } = request;
    const tool = await found(find, request.tool);
    let input: unknown;
    try {
      if (tool === null || !isWithinReach(tool, request)) throw noSuchTool(request.tool);
      if (tool.scope !== null && !holds(actor.scopes, tool.scope)) throw outOfScope(tool.name, tool.scope);
      if (tool.ownerAct === true) await checkPassphrase(substrate, request.passphrase);
      input = parseInput(tool, request.input, actor);
    } catch (thrown) {
      const error = toSeedError(thrown);
      if (tool === null && actor.grant === null) throw error;
      throw (await refusals?.leave(tool === null ? 'tool.call' : toolAction(tool), actor, error)) ?? error;
    }
    try {
      const output = tool.output.parse(await run(tool, input, request));
      if (tool.access === 'read' && actor.kind === 'helper') await receiptRead(tool, input, request);
      return output;
    } catch (thrown) {
      const error = toSeedError(thrown);
      // An operation has left one already; what the owner could not read needs none.
      if (error.data['receipt'] !== undefined || actor.grant === null) throw error;
      throw (await refusals?.leave(toolAction(tool), actor, error)) ?? error;
    }
  };

  function run(tool: Tool, input: unknown, request: CallRequest): Promise<unknown> {
    const { actor, grant = null, own = null, onProgress: progress = () => {}, signal = NEVER } = request;
    const context = { actor, grant, daemon, signal, progress, mind, egress, notifiers };
    if (tool.access === 'read') return tool.handler(input, { ...context, substrate });
    if (!canWrite(substrate) || keys === undefined) throw readOnly();
    return tool.handler(input, { ...context, substrate, keys, own });
  }

  /**
   * What goes out to a helper is on record before it goes. The operation looks at the grant again,
   * so a key that was removed while it read gets nothing.
   */
  async function receiptRead(
    tool: Tool & { access: 'read' },
    input: unknown,
    { actor, onRead }: CallRequest,
  ): Promise<void> {
    if (!canWrite(substrate)) throw readOnly();
    const subject = tool.subject?.(input);
    const { seq } = await substrate.operate({ action: toolAction(tool), actor, quiet: true }, async (op) => {
      if (subject !== undefined) op.receipt({ subject });
    });
    onRead?.(seq);
  }
}

/** The owner's tools are out of reach of every grant, whatever scopes its row may say. */
function isWithinReach({ surface, access }: Tool, { actor, asResource = false }: CallRequest): boolean {
  return surface !== 'owner' || actor.grant === null || (asResource && access === 'read');
}

async function checkPassphrase(substrate: Substrate | SubstrateReader, passphrase: string | undefined): Promise<void> {
  if (!canWrite(substrate) || !substrate.passphrase.required) return;
  if (passphrase !== undefined && (await substrate.passphrase.verify(passphrase))) return;
  if (passphrase === undefined) {
    throw new SeedError('passphrase_required', 'This asks for the owner passphrase.', {
      hint: 'Run the command in a terminal and type it there.',
    });
  }
  throw new SeedError('passphrase_required', 'That is not the owner passphrase.', {
    hint: 'Try again with the one that was set when this home was made; nobody can read or change it.',
  });
}

/** Looked at before the schema does, which would write down each name that it does not know. */
function hasTooManyNames(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const members: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return (!Array.isArray(value) && members.length > limits.INPUT_NAMES_MAX) || members.some(hasTooManyNames);
}

/** @throws SeedError `invalid_input` that names the argument and what it should be, `too_large` */
function parseInput(tool: Tool, input: unknown, { grant }: Actor): unknown {
  const given = input ?? {};
  if (!isWellFormed(given)) {
    throw new SeedError('invalid_input', 'A text in the input has half a character in it (a lone surrogate).', {
      hint: 'Send text that is valid Unicode.',
    });
  }
  if (hasTooManyNames(given)) {
    throw new SeedError('too_large', `An object in the input has more than ${limits.INPUT_NAMES_MAX} names.`, {
      hint: 'Send less at once.',
    });
  }
  const parsed = tool.input.safeParse(given);
  if (parsed.success) return parsed.data;
  const { argument, message } = explainIssues(parsed.error.issues, given);
  throw new SeedError('invalid_input', message, {
    // The owner speaks to the command, whose options have names of their own.
    hint: grant === null ? 'See what the command takes with --help.' : `${tool.name} takes ${argumentNames(tool)}.`,
    data: { argument },
  });
}

function argumentNames({ input }: Tool): string {
  const names = input instanceof z.ZodObject ? Object.keys(input.shape) : [];
  return names.length === 0 ? 'no arguments' : names.join(', ');
}

function noSuchTool(name: string): SeedError {
  return new SeedError('not_found', `There is no tool "${name.slice(0, 64)}".`, {
    hint: 'List the tools to see their names.',
  });
}

function outOfScope(name: string, scope: string): SeedError {
  return new SeedError('forbidden', `${name} needs the scope ${scope}.`, {
    hint: 'Ask the owner for it with membrane_request.',
    data: { scope },
  });
}

function readOnly(): SeedError {
  return new SeedError('home_locked', 'This process may only read the home.', {
    hint: 'Run the command while no other one holds the home.',
  });
}
