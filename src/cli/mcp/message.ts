/** JSON-RPC lines as far as a pipe must understand them, and the few that it writes itself. */
import { isUtf8 } from 'node:buffer';
import type { RpcFault, RpcId } from '../../doors/rpc.ts';
import { faultsOfLine, INVALID_REQUEST, PARSE_ERROR } from '../../doors/rpc.ts';
import type { SeedError } from '../../errors.ts';
import { toWire } from '../../errors.ts';

export type Id = RpcId;

export type Message =
  | { readonly kind: 'request'; readonly id: Id; readonly method: string; readonly params: Params }
  | { readonly kind: 'notification'; readonly method: string; readonly params: Params }
  | { readonly kind: 'response'; readonly id: Id; readonly result: Params | null }
  /** No message, or one that cannot be served; the faults are what is answered to it. */
  | { readonly kind: 'garbage'; readonly faults: readonly RpcFault[] };

export type Params = Readonly<Record<string, unknown>>;

/** What the MCP SDKs call "connection closed"; of the range that JSON-RPC leaves to servers. */
const SERVER_ERROR = -32_000;

function isObject(value: unknown): value is Params {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is Id {
  return typeof value === 'string' || typeof value === 'number';
}

export function readMessage(line: Buffer): Message {
  let value: unknown;
  // Decoded all the same, each bad byte would become a character that nobody sent.
  if (!isUtf8(line)) return garbage(PARSE_ERROR, 'A line is not UTF-8.');
  try {
    value = JSON.parse(line.toString('utf8'));
  } catch {
    return garbage(PARSE_ERROR, 'A line is not JSON.');
  }
  const faults = faultsOfLine(value);
  if (faults.length > 0) return { kind: 'garbage', faults };
  if (!isObject(value)) return garbage(INVALID_REQUEST, 'A line is not one JSON-RPC 2.0 message.');
  const { id, method, params, result } = value;
  if (typeof method === 'string') {
    const given = isObject(params) ? params : {};
    return isId(id) ? { kind: 'request', id, method, params: given } : { kind: 'notification', method, params: given };
  }
  // An error without an id answers a line that could not be read; nobody waits for it.
  if (isId(id)) return { kind: 'response', id, result: 'error' in value ? null : isObject(result) ? result : {} };
  return garbage(INVALID_REQUEST, 'A message has neither a method nor an id.');
}

function garbage(code: number, message: string): Message {
  return { kind: 'garbage', faults: [{ id: null, code, message }] };
}

/** A member that is an object, else an empty one. */
export function member(params: Params, name: string): Params {
  const value = params[name];
  return isObject(value) ? value : {};
}

const ID = String.raw`"id"\s*:\s*("(?:[^"\\]|\\.){0,200}"|-?\d{1,16})`;
const ID_FIRST = new RegExp(String.raw`^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?${ID}\s*,`);
const ID_LAST = new RegExp(String.raw`,\s*${ID}\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$`);

/** The id of a message of which only the ends are left, where it stands at one of them. */
export function idAtEnds(head: string, tail: string): Id | null {
  const found = ID_FIRST.exec(head)?.[1] ?? ID_LAST.exec(tail)?.[1];
  return found === undefined ? null : (JSON.parse(found) as Id);
}

export function jsonLine(value: object): Buffer {
  return Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...value }));
}

/** An answer to a request that nobody else will answer. */
export function errorLine(id: Id | null, error: SeedError): Buffer {
  const { code, message, hint } = toWire(error, { outside: true });
  return jsonLine({ id, error: { code: SERVER_ERROR, message: `${message} ${hint}`, data: { code, hint } } });
}

/** An answer to a line that is no message, or to a message of it. */
export function faultLine({ id, code, message }: RpcFault): Buffer {
  return jsonLine({ id, error: { code, message } });
}

export function tooLongLine(id: Id | null, bytesMax: number): Buffer {
  const message = `A message may have ${bytesMax} bytes at most; this one was not passed on.`;
  return faultLine({ id, code: INVALID_REQUEST, message });
}

/** Where revision 2026-07-28 says in every request who sent it. */
const CLIENT_INFO = 'io.modelcontextprotocol/clientInfo';

const TEXT_LENGTH_MAX = 64;

export interface ClientInfo {
  readonly name: string;
  readonly version: string;
}

/** Who the client says it is, in its first message of either era; null when it does not say. */
export function clientInfoOf(message: Message): ClientInfo | null {
  if (message.kind !== 'request' && message.kind !== 'notification') return null;
  const inEnvelope = member(member(message.params, '_meta'), CLIENT_INFO);
  const info = 'name' in inEnvelope ? inEnvelope : member(message.params, 'clientInfo');
  const { name, version } = info;
  if (typeof name !== 'string' || name === '') return null;
  return {
    name: name.slice(0, TEXT_LENGTH_MAX),
    version: typeof version === 'string' ? version.slice(0, TEXT_LENGTH_MAX) : '',
  };
}
