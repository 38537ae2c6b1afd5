/**
 * The form of a JSON-RPC message, as far as it must be right before anything else is done with it
 * (JSON-RPC 2.0, sections 4 and 5; MCP, "Messages"). Both ends of the local socket share this file,
 * so it loads nothing.
 */

export type RpcId = string | number;

/** What is wrong with a message, as its answer says it. */
export interface RpcFault {
  /** The message's own where it can be read and repeated, else null. */
  readonly id: RpcId | null;
  readonly code: number;
  readonly message: string;
}

/** JSON-RPC 2.0, section 5.1. */
export const PARSE_ERROR = -32_700;
export const INVALID_REQUEST = -32_600;
export const INVALID_PARAMS = -32_602;

/** An id, and a progress token, is repeated in each message about its request. */
export const ID_CHARS_MAX = 256;

const MEMBERS = new Set(['jsonrpc', 'id', 'method', 'params']);
const SHOWN_CHARS_MAX = 32;

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An id that its answer can carry; a number that was not read as it was written is none. */
export function readableId(id: unknown): RpcId | null {
  if (typeof id === 'string') return id.length <= ID_CHARS_MAX ? id : null;
  if (typeof id !== 'number') return null;
  return Number.isSafeInteger(id) || !Number.isInteger(id) ? id : null;
}

/**
 * What is wrong with a parsed message; null where nothing is, or nobody waits to be told: answers and
 * notifications get none, whatever they are like.
 */
export function faultOf(message: unknown): RpcFault | null {
  if (!isFields(message)) return { id: null, code: INVALID_REQUEST, message: 'A message is one JSON object.' };
  const id = readableId(message['id']);
  const invalid = (what: string, code = INVALID_REQUEST): RpcFault => ({ id, code, message: what });
  if (message['jsonrpc'] !== '2.0') return invalid('jsonrpc must be "2.0".');
  if (typeof message['method'] !== 'string') {
    return 'result' in message || 'error' in message ? null : invalid('method must be a text.');
  }
  if (!('id' in message)) return null;
  if (id === null || (typeof id === 'number' && !Number.isInteger(id))) {
    return invalid(`id must be a whole number, or a text of at most ${ID_CHARS_MAX} characters.`);
  }
  for (const name in message) {
    if (!MEMBERS.has(name)) return invalid(`A request has no member ${shown(name)}.`);
  }
  return faultOfParams(message['params'], (what) => invalid(what, INVALID_PARAMS));
}

function faultOfParams(params: unknown, invalid: (what: string) => RpcFault): RpcFault | null {
  if (params === undefined) return null;
  if (!isFields(params)) return invalid('params must be an object.');
  const meta = params['_meta'];
  if (meta === undefined) return null;
  if (!isFields(meta)) return invalid('params._meta must be an object.');
  const token = meta['progressToken'];
  if (typeof token !== 'string' || token.length <= ID_CHARS_MAX) return null;
  return invalid(`params._meta.progressToken must be at most ${ID_CHARS_MAX} characters long.`);
}

function shown(name: string): string {
  return name.length > SHOWN_CHARS_MAX ? 'with so long a name' : JSON.stringify(name);
}

/** What is wrong with a line that should be one message: a batch is refused, each request of it by its id. */
export function faultsOfLine(message: unknown): readonly RpcFault[] {
  if (!Array.isArray(message)) {
    const fault = faultOf(message);
    return fault === null ? [] : [fault];
  }
  const ids = message.map((each: unknown) => (isFields(each) && 'method' in each ? readableId(each['id']) : null));
  const requests = ids.filter((id) => id !== null);
  const refused = { code: INVALID_REQUEST, message: 'A batch is not taken here; send each message by itself.' };
  return requests.length === 0 ? [{ id: null, ...refused }] : requests.map((id) => ({ id, ...refused }));
}

/** A fault as the answer that tells it. */
export function faultAnswer({ id, code, message }: RpcFault): object {
  return { jsonrpc: '2.0', id, error: { code, message } };
}

/** The HTTP status that tells it: what has the form of a request is answered as one, and says so inside. */
export function faultStatus({ id, code }: RpcFault): number {
  return id !== null && code === INVALID_PARAMS ? 200 : 400;
}
