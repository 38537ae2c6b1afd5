/** How the HTTP door says no: the status, the headers that go with it, and the error in the address's own form. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SeedError } from '../errors.ts';
import { ERROR_CODES, toWire } from '../errors.ts';
import type { Reach } from './http-guard.ts';
import type { RpcId } from './rpc.ts';

/** A request and its response. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface RefusalOptions extends Reach {
  /** Whether the owner turned OAuth discovery on. */
  readonly oauth: () => Promise<boolean>;
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** An error as this door answers it; `/mcp` in the form of JSON-RPC. */
export async function refuse(
  { request, response }: Exchange,
  error: SeedError,
  options: RefusalOptions,
): Promise<void> {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { status } = ERROR_CODES[error.code];
  if (status === 401) response.setHeader('www-authenticate', await challenge(request, error, options));
  if (status === 429 || status === 503) response.setHeader('retry-after', '5');
  // What is still arriving is not worth waiting for.
  if (!request.complete) response.setHeader('connection', 'close');
  const { code, message, hint } = toWire(error, { outside: true });
  if (request.url === '/mcp') json(response, status, rpcError(null, error));
  else json(response, status, { error: { code, message, hint } });
}

/**
 * Refuses a request that has been served for a while. Where its answer is to come as an event of a stream that has
 * begun, it is told there; a stream for nobody's answer is cut.
 */
export async function refuseWaiting(
  exchange: Exchange,
  error: SeedError,
  waiting: RpcId | null,
  options: RefusalOptions,
): Promise<void> {
  const { response } = exchange;
  const isEvents = String(response.getHeader('content-type')).startsWith('text/event-stream');
  if (!response.headersSent || response.destroyed || waiting === null || !isEvents) {
    await refuse(exchange, error, options);
    return;
  }
  // Whoever still works on the answer finds the response at its end, which is no defect.
  response.on('error', () => response.destroy());
  response.end(`event: message\ndata: ${JSON.stringify(rpcError(waiting, error))}\n\n`);
}

function rpcError(id: RpcId | null, error: SeedError): object {
  const { code, message, hint } = toWire(error, { outside: true });
  return { jsonrpc: '2.0', id, error: { code: rpcCode(error), message: `${message} ${hint}`, data: { code, hint } } };
}

/** JSON-RPC 2.0 §5.1; -32001 and below are ours to define. */
function rpcCode({ code, kind }: SeedError): number {
  if (code === 'invalid_input') return -32_600;
  return kind === 'refused' ? -32_001 : -32_603;
}

/** RFC 6750 §3, with RFC 9728 §5.1 where OAuth is on. */
async function challenge(
  { headers }: IncomingMessage,
  { message }: SeedError,
  options: RefusalOptions,
): Promise<string> {
  const parts =
    headers.authorization === undefined
      ? []
      : ['error="invalid_token"', `error_description="${message.replace(/[^ !#-[\]-~]/g, '')}"`];
  if (await options.oauth()) parts.push(`resource_metadata="${metadataUrl(options)}"`);
  return parts.length === 0 ? 'Bearer' : `Bearer ${parts.join(', ')}`;
}

function metadataUrl({ port, publicUrl }: Reach): string {
  return `${publicUrl?.origin ?? `http://127.0.0.1:${port}`}/.well-known/oauth-protected-resource/mcp`;
}
