/** The messages that the load consists of: tool calls in revision 2026-07-28, which needs no handshake. */

const REVISION = '2026-07-28';

export interface ToolCall {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': REVISION,
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

export function toolCallMessage({ name, input }: ToolCall, id: number): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name, arguments: input, _meta: ENVELOPE },
  });
}

export function listenMessage(uri: string): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'subscriptions/listen',
    params: { notifications: { resourceSubscriptions: [uri] }, _meta: ENVELOPE },
  });
}

/** Headers of a request over HTTP; `tool` where it calls one. */
export function httpHeaders(key: string | null, method: string, tool?: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': REVISION,
    'mcp-method': method,
    ...(tool === undefined ? {} : { 'mcp-name': tool }),
    ...(key === null ? {} : { authorization: `Bearer ${key}` }),
  };
}
