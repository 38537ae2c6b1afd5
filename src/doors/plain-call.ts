/**
 * Tool calls with nothing about them but the call. Nearly all are, and they are answered without the
 * SDK, which looks at every message for all that it might be: that is most of what a small call costs.
 *
 * A call is plain when each of its parts stands there in the one form in which the SDK takes it as
 * nothing special. Whatever else comes, however little it differs, goes to the SDK, which alone says
 * what it means or what is wrong with it. A test holds the answers of both against each other.
 */
import type { IncomingHttpHeaders } from 'node:http';
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  classifyInboundRequest,
  PROTOCOL_VERSION_META_KEY,
} from '@modelcontextprotocol/server';

export interface PlainCall {
  /** The request's id, as its answer has it. */
  readonly id: string | number;
  /** The tool's name, which may be no tool's. */
  readonly name: string;
  readonly input: unknown;
  /** `modern`: with the envelope of revision 2026-07-28; `legacy`: one after a handshake. */
  readonly era: Era;
}

export type Era = 'modern' | 'legacy';

const REVISION = '2026-07-28';
const MESSAGE = new Set(['jsonrpc', 'id', 'method', 'params']);
const PARAMS = new Set(['name', 'arguments', '_meta']);
const ENVELOPE = new Set([PROTOCOL_VERSION_META_KEY, CLIENT_INFO_META_KEY, CLIENT_CAPABILITIES_META_KEY]);

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasNoneBut(fields: Fields, names: ReadonlySet<string>): boolean {
  for (const name in fields) if (!names.has(name)) return false;
  return true;
}

function isId(id: unknown): id is string | number {
  return typeof id === 'string' || Number.isSafeInteger(id);
}

/** Zod and `JSON.parse` do not agree on what this name is. */
function isOrdinary(input: unknown): boolean {
  return input === undefined || (isFields(input) && !Object.hasOwn(input, '__proto__'));
}

/** A client says the same of itself with every call, so each text is looked at once. */
export class Envelopes {
  readonly #good = new Set<string>();

  /** Whether the SDK takes a message with this envelope for one of revision 2026-07-28. */
  accept(envelope: Fields, message: unknown): boolean {
    if (envelope[PROTOCOL_VERSION_META_KEY] !== REVISION || !hasNoneBut(envelope, ENVELOPE)) return false;
    const text = JSON.stringify(envelope);
    if (this.#good.has(text)) return true;
    const { kind } = classifyInboundRequest({ httpMethod: 'POST', body: message });
    if (kind !== 'modern' || text.length > ENVELOPE_CHARS_MAX) return kind === 'modern';
    if (this.#good.size >= ENVELOPES_MAX) this.#good.clear();
    this.#good.add(text);
    return true;
  }
}

const ENVELOPE_CHARS_MAX = 2_000;
const ENVELOPES_MAX = 500;

/** The plain call that a parsed message is; null for anything else, good or bad. */
export function toPlainCall(message: unknown, envelopes: Envelopes): PlainCall | null {
  if (!isFields(message) || message['method'] !== 'tools/call' || message['jsonrpc'] !== '2.0') return null;
  const { id, params } = message;
  if (!isId(id) || !isFields(params) || !hasNoneBut(message, MESSAGE) || !hasNoneBut(params, PARAMS)) return null;
  const { name, arguments: input, _meta: envelope } = params;
  if (typeof name !== 'string' || !isOrdinary(input)) return null;
  if (envelope === undefined) return { id, name, input, era: 'legacy' };
  if (!isFields(envelope) || !envelopes.accept(envelope, message)) return null;
  return { id, name, input, era: 'modern' };
}

/** Whether the headers of a request over HTTP say what its plain call says (MCP, "Standard headers"). */
export function headersAgree(headers: IncomingHttpHeaders, { name, era }: PlainCall): boolean {
  return (
    era === 'modern' &&
    headers['mcp-protocol-version'] === REVISION &&
    headers['mcp-method'] === 'tools/call' &&
    headers['mcp-name'] === name
  );
}
