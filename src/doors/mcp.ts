/**
 * The seed as an MCP server, for one actor: the same for a connection on the local socket and for
 * one request over HTTP, in every protocol revision that the SDK speaks.
 */
import type { CallToolResult, ServerContext } from '@modelcontextprotocol/server';
import { ProtocolError, ProtocolErrorCode, ResourceNotFoundError, Server } from '@modelcontextprotocol/server';
import type { SeedError } from '../errors.ts';
import { toSeedError, toWire } from '../errors.ts';
import type { Admitted } from '../membrane/membrane.ts';
import type { Tool } from '../tools/define.ts';
import type { ToolView } from '../tools/surface.ts';
import { isShownTo, viewTool } from '../tools/surface.ts';
import type { ToolAnswer } from './answer-text.ts';
import { answerWriter, metaOf } from './answer-text.ts';
import type { Call } from './call.ts';
import * as limits from './limits.ts';
import type { PlainCall } from './plain-call.ts';
import { Envelopes, toPlainCall } from './plain-call.ts';
import { mayRead, resolveResource, RESOURCES, TEMPLATES } from './resources.ts';

/**
 * When to check who calls. What reads can wait for the end of this turn of the event loop: all that came in it
 * are looked up, and read, together. What writes would miss the group that is committed there.
 */
export type AdmitWhen = 'now' | 'after turn';

/** One client, as its door knows it. */
export interface McpSession {
  readonly surface: 'daily' | 'full';
  /** Whether the door can carry notifications that no request asked for. */
  readonly canNotify: boolean;
  /** A line for the client about itself, such as its second window's name. */
  readonly greeting: string;
  /** Who calls, checked at this moment or a moment later. @throws SeedError when it may no longer */
  readonly admit: (when: AdmitWhen) => Promise<Admitted>;
  /** Legacy subscriptions of this connection, by address. */
  readonly subscriptions: Set<string>;
  /** Told of each call under way, so that a door can let it end before it hangs up. */
  readonly onCall?: (call: Promise<unknown>) => void;
}

export interface McpOptions {
  readonly tools: readonly Tool[];
  readonly call: Call;
  readonly version: string;
  /** The newest checkpoint: everyone who talks to the seed gets to hold one. */
  readonly checkpoint: () => Promise<string>;
  /** Told of defects. */
  readonly onDefect: (error: SeedError) => void;
}

/** What serves sessions; what does not depend on the session is made once. */
export interface McpServing {
  /** The SDK's server for one session. */
  readonly build: (session: McpSession) => Server;
  /** The plain call of a tool that a parsed message is; null for all else, which is for the SDK's server. */
  readonly plain: (message: unknown) => PlainCall | null;
  /** The answer to a plain call, as the text of its message. */
  readonly answer: (session: McpSession, call: PlainCall, signal: AbortSignal) => Promise<string>;
}

const INSTRUCTIONS =
  'This is a seed: your agents’ home, on a box that its owner controls. It keeps what must outlive you (receipts, and as it grows messages, memory, tasks and handoffs) and it outlives the model you run on. Call seed_start first. Everything you change here leaves a signed receipt. If you may not do something, membrane_request asks the owner; nobody else can grant it.';

interface Prompt {
  readonly name: string;
  readonly title: string;
  readonly description: string;
}

const INTRODUCE: Prompt = {
  name: 'introduce_seed',
  title: 'What this seed is and how to use it',
  description: 'Introduces the seed to an agent that has just arrived.',
};

const PICKUP: Prompt = {
  name: 'handoff_pickup',
  title: 'Pick up work that somebody else began',
  description: 'Tells an agent what was offered to it, what a silent agent left, and how to go on with it.',
};

export function createServing(options: McpOptions): McpServing {
  const clientTools = options.tools.filter(({ surface }) => surface !== 'owner');
  const views = new Map(clientTools.map((tool) => [tool.name, viewTool(tool)]));
  const byName = new Map(clientTools.map((tool) => [tool.name, tool]));
  const envelopes = new Envelopes();
  const info = { name: 'sovereign-seed', title: 'sovereign-seed', version: options.version };
  const write = answerWriter(info);

  const build = (session: McpSession): Server => {
    const resources = session.canNotify ? { subscribe: true } : {};
    const server = new Server(info, {
      capabilities: { tools: {}, resources, prompts: {} },
      instructions: session.greeting === '' ? INSTRUCTIONS : `${session.greeting} ${INSTRUCTIONS}`,
    });
    server.setRequestHandler('tools/list', async () => {
      const { actor } = await admitted(session);
      const shown = clientTools.filter((tool) => isShownTo(tool, actor, session.surface));
      return { tools: shown.map(({ name }) => views.get(name) as ToolView) };
    });
    server.setRequestHandler('tools/call', async ({ params }, context) => {
      const tool = byName.get(params.name);
      // What is no tool of theirs goes through the pipeline too, which refuses it on record.
      const call = { tool, name: params.name, input: params.arguments };
      const answer = callTool(options, session, call, {
        signal: context.mcpReq.signal,
        onProgress: progressTo(context),
      }).then(asResult);
      session.onCall?.(answer);
      if (tool !== undefined) return answer;
      await answer;
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no tool "${params.name.slice(0, 64)}".`);
    });
    addResources(server, options, session);
    addPrompts(server, options, session);
    return server;
  };

  const plain: McpServing['plain'] = (message) => {
    const call = toPlainCall(message, envelopes);
    return call !== null && byName.has(call.name) ? call : null;
  };

  const answer: McpServing['answer'] = (session, { id, name, input, era }, signal) => {
    const call = { tool: byName.get(name), name, input };
    const result = callTool(options, session, call, { signal, onProgress: undefined });
    session.onCall?.(result);
    return result
      .then((given) => write(id, era, given))
      .catch((thrown: unknown) => {
        // An answer that cannot be written down is a defect of its tool, and no reason to say nothing.
        const error = toSeedError(thrown);
        options.onDefect(error);
        return write(id, era, { result: errorResult(error), about: {} });
      });
  };

  return { build, plain, answer };
}

/** An answer as the SDK takes it, which adds by itself what its revision has besides. */
function asResult({ result, about }: ToolAnswer): CallToolResult {
  return about.checkpoint === undefined ? result : { ...result, _meta: metaOf(about) };
}

/** The session's actor; a credential that no longer holds is a protocol error, as at any door. */
async function admitted(session: McpSession): Promise<Admitted> {
  try {
    return await session.admit('now');
  } catch (thrown) {
    throw asProtocolError(ProtocolErrorCode.InvalidRequest, toSeedError(thrown));
  }
}

function asProtocolError(rpcCode: ProtocolErrorCode, error: SeedError): ProtocolError {
  const { code, message, hint } = toWire(error, { outside: true });
  return new ProtocolError(rpcCode, `${message} ${hint}`, { code, hint });
}

async function callTool(
  { call, checkpoint, onDefect }: McpOptions,
  session: McpSession,
  { tool, name, input }: { tool: Tool | undefined; name: string; input: unknown },
  { signal, onProgress }: { signal: AbortSignal; onProgress: ShowProgress | undefined },
): Promise<ToolAnswer> {
  try {
    const { actor, grant, own } = await session.admit(tool?.access === 'read' ? 'after turn' : 'now');
    let read: number | null = null;
    const answer = await call({
      tool: name,
      input,
      actor,
      grant,
      own,
      signal,
      onProgress,
      onRead: (receipt) => {
        read = receipt;
      },
    });
    const result: CallToolResult = {
      ...(tool?.isError?.(answer) === true ? { isError: true } : {}),
      content: [{ type: 'text', text: tool?.text?.(answer) ?? JSON.stringify(answer) }],
      structuredContent: answer,
    };
    return { result, about: { checkpoint: await checkpoint(), receipt: read ?? undefined } };
  } catch (thrown) {
    const error = toSeedError(thrown);
    if (error.code === 'internal') onDefect(error);
    return { result: errorResult(error), about: {} };
  }
}

/** A refusal or failure as an answer that a model can act on. What a defect says stays in the log. */
function errorResult(error: SeedError): CallToolResult {
  const { code, message, hint, data } = toWire(error, { outside: true });
  return {
    isError: true,
    content: [{ type: 'text', text: `${message}\nWhat to do: ${hint}\n(${code})` }],
    structuredContent: { ...data, code, message, hint },
  };
}

type ShowProgress = (progress: { done: number; total: number; what: string }) => void;

/** Progress notifications, where the client asked for them; they carry no data that matters. */
function progressTo({ mcpReq }: ServerContext): ShowProgress | undefined {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return undefined;
  return ({ done, total, what }) => {
    const params = { progressToken, progress: done, total, message: what };
    mcpReq.notify({ method: 'notifications/progress', params }).catch(() => {
      // The client has gone; the call's own signal says so too.
    });
  };
}

function addResources(server: Server, { call, onDefect }: McpOptions, session: McpSession): void {
  server.setRequestHandler('resources/list', async () => {
    const { actor } = await admitted(session);
    return {
      resources: RESOURCES.filter(({ scope }) => actor.scopes.has(scope)).map(
        ({ uri, name, title, description, mimeType }) => ({
          uri,
          name,
          title,
          description,
          mimeType,
        }),
      ),
    };
  });
  server.setRequestHandler('resources/templates/list', async () => {
    const { actor } = await admitted(session);
    const open = TEMPLATES.filter(({ scope }) => actor.scopes.has(scope));
    return { resourceTemplates: open.map(({ scope: _scope, ...template }) => template) };
  });
  server.setRequestHandler('resources/read', async ({ params }) => {
    const { actor, grant } = await admitted(session);
    const resource = resolveResource(params.uri);
    if (resource === null || !actor.scopes.has(resource.scope)) throw noResource(params.uri);
    try {
      const answer = await call({ tool: resource.tool, input: resource.input, actor, grant, asResource: true });
      return { contents: [{ uri: params.uri, mimeType: resource.mimeType, text: resource.write(answer) }] };
    } catch (thrown) {
      const error = toSeedError(thrown);
      if (error.code === 'not_found') throw noResource(params.uri);
      if (error.code === 'internal') onDefect(error);
      throw asProtocolError(ProtocolErrorCode.InternalError, error);
    }
  });
  if (!session.canNotify) return;
  server.setRequestHandler('resources/subscribe', async ({ params }) => {
    const { actor } = await admitted(session);
    if (!mayRead(params.uri, actor)) throw noResource(params.uri);
    if (session.subscriptions.size >= limits.ADDRESSES_PER_LISTEN_MAX && !session.subscriptions.has(params.uri)) {
      throw tooManySubscriptions();
    }
    session.subscriptions.add(params.uri);
    return {};
  });
  server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    session.subscriptions.delete(params.uri);
    return {};
  });
}

/**
 * -32602 with the address, in every revision: what 2026-07-28 asks for. Older ones have -32002, which the SDK
 * no longer sends; its clients know the error by its `uri` whichever code it comes with.
 */
function noResource(uri: string): ProtocolError {
  const shown = uri.slice(0, 200);
  return new ResourceNotFoundError(shown, `There is no resource ${shown} that you may read.`);
}

function tooManySubscriptions(): ProtocolError {
  const message = `A connection is subscribed to ${limits.ADDRESSES_PER_LISTEN_MAX} addresses at most.`;
  const hint = 'Unsubscribe from some first.';
  return new ProtocolError(ProtocolErrorCode.InvalidParams, `${message} ${hint}`, { code: 'too_many', hint });
}

function addPrompts(server: Server, { call, tools }: McpOptions, session: McpSession): void {
  const handoffs = tools.find(({ name }) => name === 'handoff_status');
  const mayPickUp = ({ actor }: Admitted): boolean => actor.scopes.has(handoffs?.scope ?? '');
  server.setRequestHandler('prompts/list', async () => {
    const who = await admitted(session);
    return { prompts: mayPickUp(who) ? [INTRODUCE, PICKUP] : [INTRODUCE] };
  });
  server.setRequestHandler('prompts/get', async ({ params }) => {
    if (params.name === INTRODUCE.name) return promptText(INTRODUCE, INTRODUCTION);
    const who = await admitted(session);
    if (params.name !== PICKUP.name || !mayPickUp(who)) {
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no prompt "${params.name.slice(0, 64)}".`);
    }
    try {
      const answer = await call({ tool: 'handoff_status', input: {}, actor: who.actor, grant: who.grant });
      return promptText(PICKUP, `${handoffs?.text?.(answer) ?? ''}\n\n${PICK_UP}`);
    } catch (thrown) {
      throw asProtocolError(ProtocolErrorCode.InternalError, toSeedError(thrown));
    }
  });
}

function promptText({ description }: Prompt, text: string) {
  return { description, messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }] };
}

const PICK_UP = `Pick up one of these and go on with it.

1. Call handoff_accept: with the token if you were given one, else with latest: true (and session, if several are named above).
2. Read what it answers: what was asked, what is done, what is in doubt, what is next. Constraints hold word for word. Read more of the transcript with session_get if you need it.
3. What is in doubt may or may not have happened: look, or ask, before you do it again.
4. Go on with what is next. Call session_checkpoint whenever something is done, so that the next one can pick up from you.`;

const INTRODUCTION = `You are connected to a seed: a home for AI agents on a box that its owner controls.

What it is for: the model you run on is interchangeable, and so is the program you run in; what should outlast them stands here. Every change made here leaves a signed receipt in a log that nobody can edit unseen.

How to begin: call seed_start. It tells you your name here, what waits for you and what you may do.

Rules: you act under your own grant, and the owner can remove it at any time. If you need more, call membrane_request and tell the owner; only the owner can approve, at the owner's own door. Say what you did elsewhere with receipt_note if it should be on record.`;
