/** Requests that open a stream of notifications (`subscriptions/listen`), before the SDK serves them. */
import * as limits from './limits.ts';
import type { RpcFault, RpcId } from './rpc.ts';
import { INVALID_PARAMS } from './rpc.ts';

export interface ListenRequest {
  readonly id?: RpcId | null;
  readonly method: 'subscriptions/listen';
  readonly params?: { readonly notifications?: { resourceSubscriptions?: unknown } };
}

/** Whether a message asks for a stream of notifications. */
export function isListen(message: unknown): message is ListenRequest {
  return (
    typeof message === 'object' &&
    message !== null &&
    (message as { method?: unknown }).method === 'subscriptions/listen'
  );
}

/** A request to listen that names more addresses than anybody needs; null where it does not. */
export function listenFault({ id = null, params }: ListenRequest): RpcFault | null {
  const wanted = params?.notifications?.resourceSubscriptions;
  if (!Array.isArray(wanted) || wanted.length <= limits.ADDRESSES_PER_LISTEN_MAX) return null;
  const most = `at most ${limits.ADDRESSES_PER_LISTEN_MAX} addresses`;
  return { id, code: INVALID_PARAMS, message: `params.notifications.resourceSubscriptions may have ${most}.` };
}

/** Leaves of what a request listens to only what `mayRead` says, each once. */
export function narrowListen({ params }: ListenRequest, mayRead: (uri: string) => boolean): void {
  const wanted = params?.notifications;
  if (typeof wanted !== 'object' || !Array.isArray(wanted?.resourceSubscriptions)) return;
  const named = new Set<unknown>(wanted.resourceSubscriptions);
  wanted.resourceSubscriptions = [...named].filter((uri) => typeof uri === 'string' && mayRead(uri));
}
