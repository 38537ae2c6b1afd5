/** What MCP requests must have besides being JSON-RPC, told in words before the SDK would tell it in its schemas'. */
import { PROTOCOL_VERSION_META_KEY, specTypeSchemas } from '@modelcontextprotocol/server';
import type * as z from 'zod';
import { explainIssues } from '../tools/plain-words.ts';
import { isListen, listenFault } from './listen-request.ts';
import type { RpcFault, RpcId } from './rpc.ts';
import { INVALID_PARAMS } from './rpc.ts';

/** The shape of each request that is served and takes something. */
const SHAPES: Readonly<Record<string, keyof typeof specTypeSchemas>> = {
  initialize: 'InitializeRequest',
  'tools/call': 'CallToolRequest',
  'tools/list': 'ListToolsRequest',
  'resources/list': 'ListResourcesRequest',
  'resources/templates/list': 'ListResourceTemplatesRequest',
  'resources/read': 'ReadResourceRequest',
  'resources/subscribe': 'SubscribeRequest',
  'resources/unsubscribe': 'UnsubscribeRequest',
  'prompts/list': 'ListPromptsRequest',
  'prompts/get': 'GetPromptRequest',
};

/** What revision 2026-07-28 no longer has: there the SDK says first that there is no such method. */
const LEGACY_ONLY = new Set(['initialize', 'resources/subscribe', 'resources/unsubscribe']);

function isModern(message: unknown): boolean {
  const { params } = message as { params?: { _meta?: object } };
  return params?._meta !== undefined && PROTOCOL_VERSION_META_KEY in params._meta;
}

/** What is wrong with the params of a request that is JSON-RPC; null where nothing is, or it is none. */
export function paramsFault(message: unknown): RpcFault | null {
  const { id, method } = message as { id?: RpcId; method?: unknown };
  if (id === undefined || typeof method !== 'string') return null;
  if (isListen(message)) return listenFault(message);
  const shape = Object.hasOwn(SHAPES, method) ? SHAPES[method] : undefined;
  if (shape === undefined || (LEGACY_ONLY.has(method) && isModern(message))) return null;
  const looked = specTypeSchemas[shape]['~standard'].validate(message);
  if (looked instanceof Promise || looked.issues === undefined) return null;
  // The SDK's schemas are zod's, which gives its own issues by this standard's name.
  const issues = looked.issues as unknown as readonly z.core.$ZodIssue[];
  return { id, code: INVALID_PARAMS, message: explainIssues(issues, message).message };
}
