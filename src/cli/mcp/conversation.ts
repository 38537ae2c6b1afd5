/**
 * What one client and the daemon have said that outlives a connection: what is under way, and what
 * the next daemon must be told before the client's messages go on.
 *
 * Legacy eras keep state in the connection (`initialize`, `resources/subscribe`, `logging/setLevel`);
 * revision 2026-07-28 keeps only open `subscriptions/listen` requests, whose notifications carry the
 * request's own id, so those are sent again unchanged.
 */
import { SeedError } from '../../errors.ts';
import type { Id, Message, Params } from './message.ts';
import { errorLine, jsonLine, member } from './message.ts';

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';

/** Requests that only ask who is there; sent again when they were not answered. */
const HANDSHAKES = new Set(['initialize', 'server/discover']);

interface Request {
  readonly method: string;
  readonly params: Params;
  readonly line: Buffer;
}

interface Listen {
  readonly line: Buffer;
  /** Whether the client has had the acknowledgement. */
  acknowledged: boolean;
  /** The daemon's answer that ends it, kept back: a daemon that stops ends them all so. */
  ending: Buffer | null;
}

export interface Conversation {
  /** Notes a client's message; false when it must not go on to the daemon. */
  fromClient(message: Message, line: Buffer): boolean;
  /** Notes a daemon's message; resolves to what the client is to see of it. */
  fromDaemon(message: Message, line: Buffer): readonly Buffer[];
  /** The connection is gone: what the client must hear now. */
  lost(): readonly Buffer[];
  /** Tells a new daemon what the old one knew; `send` writes to it. */
  replay(send: (line: Buffer) => void): Promise<void>;
  /** Lets the answers through that end a listen request; to be called when the daemon stays. */
  releaseEndings(): readonly Buffer[];
  /** Whether anything but a listen request waits for the daemon's answer. */
  isWaiting(): boolean;
  /** Whether the client expects to be told things that it does not ask for. */
  isSubscribed(): boolean;
  hasEndings(): boolean;
}

/** What the client's call gets whose daemon went away under it. */
function restarted(): SeedError {
  const what = 'The connection to the seed ended before it answered: it restarted, or its owner removed this agent.';
  return new SeedError('daemon_failed', `${what} Nothing is sent twice by itself.`, {
    hint: 'Call again; if the call changes something, look first whether it was carried out.',
  });
}

export function createConversation(onTrouble: (what: string) => void): Conversation {
  const inFlight = new Map<Id, Request>();
  const listens = new Map<Id, Listen>();
  /** Requests of the daemon that the client has not answered. */
  const asked = new Set<Id>();
  const subscriptions = new Set<string>();
  let handshake: { readonly params: Params; readonly version: unknown } | null = null;
  let initialized: Buffer | null = null;
  let logLevel: Params | null = null;
  /** Handshakes that the lost daemon left unanswered. */
  let unanswered: [Id, Request][] = [];
  const replies = new Map<Id, (message: Message & { kind: 'response' }) => readonly Buffer[]>();
  let replays = 0;

  const noteAnswer = (request: Request, result: Params): void => {
    const uri = request.params['uri'];
    if (request.method === 'initialize') {
      handshake = { params: request.params, version: member(result, 'serverInfo')['version'] };
    } else if (request.method === 'logging/setLevel') logLevel = request.params;
    else if (request.method === 'resources/subscribe' && typeof uri === 'string') subscriptions.add(uri);
    else if (request.method === 'resources/unsubscribe' && typeof uri === 'string') subscriptions.delete(uri);
  };

  const fromDaemonResponse = (message: Message & { kind: 'response' }, line: Buffer): readonly Buffer[] => {
    const { id, result } = message;
    const reply = replies.get(id);
    if (reply !== undefined) {
      replies.delete(id);
      return reply(message);
    }
    const listen = listens.get(id);
    if (listen !== undefined) {
      if (result === null) listens.delete(id);
      else listen.ending = line;
      return result === null ? [line] : [];
    }
    const request = inFlight.get(id);
    // Answered already, or cancelled.
    if (request === undefined) return [];
    inFlight.delete(id);
    if (result !== null) noteAnswer(request, result);
    return [line];
  };

  const fromDaemonNotification = (method: string, params: Params, line: Buffer): readonly Buffer[] => {
    if (method !== 'notifications/subscriptions/acknowledged') return [line];
    const id = member(params, '_meta')[SUBSCRIPTION_ID] as Id;
    const listen = listens.get(id);
    if (listen === undefined) return [line];
    if (!listen.acknowledged) {
      listen.acknowledged = true;
      return [line];
    }
    // Sent again: the client has had this, but may have missed what happened meanwhile.
    const uris = member(params, 'notifications')['resourceSubscriptions'];
    return Array.isArray(uris) ? uris.map((uri) => updatedLine(uri, { _meta: { [SUBSCRIPTION_ID]: id } })) : [];
  };

  /** Sends a request of the pipe's own and takes its answer away from the client. */
  const request = (
    send: (line: Buffer) => void,
    method: string,
    params: Params,
    onReply: (result: Params | null) => readonly Buffer[],
  ): void => {
    const id = `seed-replay-${++replays}`;
    replies.set(id, ({ result }) => onReply(result));
    send(jsonLine({ id, method, params }));
  };

  const replayInitialize = (send: (line: Buffer) => void, first: NonNullable<typeof handshake>): Promise<void> =>
    new Promise((resolve) => {
      request(send, 'initialize', first.params, (result) => {
        resolve();
        if (result === null) {
          onTrouble('the restarted seed refused the handshake that the client made with the one before');
          return [];
        }
        const version = member(result, 'serverInfo')['version'];
        const isNew = version !== first.version;
        handshake = { params: first.params, version };
        const capabilities = member(result, 'capabilities');
        const changes = ['tools', 'prompts', 'resources'].filter((list) => member(capabilities, list)['listChanged']);
        return isNew ? changes.map((list) => jsonLine({ method: `notifications/${list}/list_changed` })) : [];
      });
    });

  const replaySubscription = (send: (line: Buffer) => void, uri: string): void => {
    request(send, 'resources/subscribe', { uri }, (result) => {
      if (result !== null) return [updatedLine(uri, {})];
      subscriptions.delete(uri);
      onTrouble(`the restarted seed does not take the subscription to ${uri}`);
      return [];
    });
  };

  return {
    fromClient: (message, line) => {
      if (message.kind === 'request') {
        if (message.method === 'subscriptions/listen') {
          listens.set(message.id, { line, acknowledged: false, ending: null });
        } else inFlight.set(message.id, { method: message.method, params: message.params, line });
      } else if (message.kind === 'response') {
        // An answer to a daemon that is gone would reach one that never asked.
        return asked.delete(message.id);
      } else if (message.kind === 'notification') {
        if (message.method === 'notifications/initialized') initialized = line;
        if (message.method === 'notifications/cancelled') {
          const id = message.params['requestId'] as Id;
          inFlight.delete(id);
          listens.delete(id);
        }
      }
      return true;
    },
    fromDaemon: (message, line) => {
      if (message.kind === 'response') return fromDaemonResponse(message, line);
      if (message.kind === 'notification') return fromDaemonNotification(message.method, message.params, line);
      if (message.kind === 'request') asked.add(message.id);
      return [line];
    },
    lost: () => {
      const requests = [...inFlight];
      const isHandshake = ([, { method }]: [Id, Request]): boolean => HANDSHAKES.has(method);
      unanswered = requests.filter(isHandshake);
      const calls = requests.filter((entry) => !isHandshake(entry));
      const answers = calls.map(([id]) => errorLine(id, restarted()));
      const withdrawn = [...asked].map((requestId) =>
        jsonLine({ method: 'notifications/cancelled', params: { requestId, reason: 'The seed restarted.' } }),
      );
      inFlight.clear();
      asked.clear();
      replies.clear();
      for (const listen of listens.values()) listen.ending = null;
      return [...answers, ...withdrawn];
    },
    replay: async (send) => {
      if (handshake !== null) {
        await replayInitialize(send, handshake);
        if (initialized !== null) send(initialized);
        if (logLevel !== null) request(send, 'logging/setLevel', logLevel, () => []);
        for (const uri of subscriptions) replaySubscription(send, uri);
      }
      for (const { line } of listens.values()) send(line);
      for (const [id, handshakeRequest] of unanswered) {
        inFlight.set(id, handshakeRequest);
        send(handshakeRequest.line);
      }
      unanswered = [];
    },
    releaseEndings: () => {
      const ended = [...listens].flatMap(([id, { ending }]) => (ending === null ? [] : [{ id, ending }]));
      for (const { id } of ended) listens.delete(id);
      return ended.map(({ ending }) => ending);
    },
    isWaiting: () => inFlight.size > 0 || unanswered.length > 0,
    isSubscribed: () => subscriptions.size > 0 || listens.size > 0,
    hasEndings: () => [...listens.values()].some(({ ending }) => ending !== null),
  };
}

/** The client may have missed a change while nobody served: reading again is right either way. */
function updatedLine(uri: unknown, more: Params): Buffer {
  return jsonLine({ method: 'notifications/resources/updated', params: { ...more, uri } });
}
