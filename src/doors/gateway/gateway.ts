/**
 * The gateway: clients of the OpenAI and the Anthropic API ask here as they ask there, and get the owner's
 * policy, ceilings, failover, sessions and receipts without knowing of them.
 *
 * A thin door. What a request means is its API's (`wire.ts`), what becomes of it the router's; here a caller is
 * let in, the model's name becomes a role, the conversation is recognised, and the answer goes out.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SeedError, toSeedError } from '../../errors.ts';
import type { Admitted, Membrane } from '../../membrane/membrane.ts';
import type { RefusalCounter } from '../../membrane/refusals.ts';
import { ON_DEMAND } from '../../mind/router/dispatch.ts';
import type { Asker, CompletionRequest } from '../../mind/router/request.ts';
import type { CallEnd, CallReport, Router } from '../../mind/router/router.ts';
import { RunningCall } from '../../mind/router/router.ts';
import type { Actor } from '../../substrate/actor.ts';
import type { StoredCall } from '../../substrate/calls.ts';
import { findCallByKey } from '../../substrate/calls.ts';
import { acceptOffered } from '../../substrate/sessions/handover.ts';
import { newId } from '../../substrate/sources.ts';
import type { ReadHandle, Substrate } from '../../substrate/substrate.ts';
import { admitExchange, endWithKey } from '../admit.ts';
import { assertBodyType, readJsonBody } from '../body.ts';
import * as limits from '../limits.ts';
import { SharedRoom } from '../room.ts';
import { anthropic } from './anthropic/wire.ts';
import type { AskedInHeaders } from './asked.ts';
import { askedInHeaders, mergedLabels, shownKey } from './asked.ts';
import type { Offered, Plan } from './conversation.ts';
import { assertKept, assertPlanned, planTurn, turnOf } from './conversation.ts';
import { EventStream } from './event-stream.ts';
import { HalfClosed } from './half-closed.ts';
import type { Metrics } from './metrics.ts';
import { renderMetrics } from './metrics.ts';
import { findModel, listModels, roleOf } from './models.ts';
import { responses } from './openai/responses.ts';
import { openai } from './openai/wire.ts';
import type { GatewayRoute } from './paths.ts';
import { apiOf, methodOf, routeOf } from './paths.ts';
import { assertLengthFits, inTime } from './arrival.ts';
import { answer, endUnlessTaken, plainError, repeated, withReceipt } from './replies.ts';
import type { AnswerFacts, GatewayRequest, Wire } from './wire.ts';
import { wireOf } from './wires.ts';

export interface GatewayOptions {
  readonly substrate: Substrate;
  readonly membrane: Membrane;
  readonly router: Router;
  readonly metrics: Metrics;
  readonly refusals: RefusalCounter;
  /** Puts on record what somebody who was let in was refused; resolves to the error as it is told. */
  readonly leaveRefusal: (action: string, actor: Actor, error: SeedError) => Promise<SeedError>;
  readonly onDefect: (error: SeedError) => void;
}

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** A request as it was understood, and what is needed to answer it. */
interface Asked {
  readonly wire: Wire;
  readonly wanted: GatewayRequest;
  readonly headers: AskedInHeaders;
  readonly admitted: Admitted;
  /** When its last byte was here, by `performance.now()`. */
  readonly arrivedAt: number;
}

/** A call that was begun for a request, with what its answer says of itself. */
interface Begun {
  readonly call: RunningCall | CallReport;
  /** It was begun by this very request, and ends with it. */
  readonly isOwn: boolean;
  readonly facts: AnswerFacts;
  readonly headers: Readonly<Record<string, string>>;
  /** Its session is written with its first attempt. */
  readonly opensSession: boolean;
}

const SESSION = 'x-seed-session';

/** The headers at a call's end. A session that was to be opened with an attempt is none where there was none. */
function headersOf({ headers, opensSession }: Begun, { outcome }: CallEnd): Begun['headers'] {
  const isUnbegun = outcome.attempts.every((attempt) => attempt.outcome === 'refused' || attempt.outcome === 'skipped');
  if (!opensSession || !isUnbegun) return headers;
  const { [SESSION]: _, ...rest } = headers;
  return rest;
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #room = new SharedRoom({
    bytesMax: limits.GATEWAY_BYTES_AT_ONCE_MAX,
    bytesPerKeyMax: limits.GATEWAY_BYTES_PER_KEY_MAX,
  });
  readonly #halfClosed = new HalfClosed((exchange, error) => this.refuse(exchange, error));
  /** Sessions in which a request goes on at this moment. */
  readonly #taken = new Set<string>();

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  /** Answers a request to one of the gateway's addresses; what goes wrong is told in the API's own terms. */
  async serve(exchange: Exchange): Promise<void> {
    try {
      const admitted = await this.#admit(exchange);
      if (admitted !== null) await this.#serveAdmitted(exchange, admitted);
    } catch (thrown) {
      this.refuse(exchange, toSeedError(thrown));
    }
  }

  /** An error in the terms of the API that was asked. */
  refuse({ request, response }: Exchange, error: SeedError): void {
    const { onDefect, metrics } = this.#options;
    if (error.code === 'internal') onDefect(error);
    metrics.refused(error.code);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const url = request.url ?? '';
    const api = wireOf(apiOf(url, request.headers));
    const { status, headers, body } = url === '/metrics' ? plainError(error) : api.error(error);
    const allow = methodOf(url);
    const isWrongMethod = allow !== null && request.method !== allow;
    // What is still arriving is not worth waiting for.
    const close = request.complete ? {} : { connection: 'close' };
    const challenge = status === 401 ? { 'www-authenticate': 'Bearer' } : {};
    answer(response, {
      status: isWrongMethod && error.code === 'invalid_input' ? 405 : status,
      headers: { ...headers, ...close, ...challenge, ...(isWrongMethod ? { allow } : {}) },
      body,
    });
  }

  /** Strangers that are turned away are counted; whoever was let in has a receipt of it. */
  async #admit({ request, response }: Exchange): Promise<Admitted | null> {
    try {
      return await admitExchange(this.#options.membrane, shownKey(request.headers), response);
    } catch (thrown) {
      const error = toSeedError(thrown);
      if (error.kind === 'refused') this.#options.refusals.count('gateway', error.code);
      throw error;
    }
  }

  /** Whoever was let in is answered, and on record, here. */
  async #serveAdmitted(exchange: Exchange, admitted: Admitted): Promise<void> {
    const { membrane, leaveRefusal } = this.#options;
    try {
      if (membrane.work.count(admitted.grant.id) > limits.REQUESTS_PER_KEY_MAX) throw tooManyOpen();
      endWithKey(exchange.response, admitted, this.#options.substrate.sources.now());
      await this.#serveRoute(exchange, admitted);
    } catch (thrown) {
      // Cut off, or hung up, while it was still arriving: nothing was asked.
      if (exchange.response.destroyed) return;
      const error = toSeedError(thrown);
      const isOnRecord = error.data['receipt'] !== undefined;
      throw isOnRecord ? error : await leaveRefusal('gateway.call', admitted.actor, error);
    }
  }

  async #serveRoute(exchange: Exchange, admitted: Admitted): Promise<void> {
    const { request } = exchange;
    const route = routeOf(request.url ?? '');
    const method = methodOf(request.url ?? '');
    if (request.method !== method) {
      throw new SeedError('invalid_input', `This address is asked by ${method}.`, { hint: `Use ${method}.` });
    }
    if (route.to === 'metrics') await this.#tellMetrics(exchange, admitted);
    else if (route.to === 'models' || route.to === 'model') await this.#tellModels(exchange, admitted, route);
    else await this.#serveBody(exchange, admitted, route);
  }

  async #tellMetrics({ response }: Exchange, { actor }: Admitted): Promise<void> {
    assertScope(actor, 'metrics.read');
    const body = await renderMetrics({ ...this.#options, requestBytes: this.#room.taken });
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(body);
  }

  async #tellModels({ request, response }: Exchange, { actor }: Admitted, route: GatewayRoute): Promise<void> {
    assertScope(actor, 'route.complete');
    const wire = wireOf(apiOf(request.url ?? '', request.headers));
    const { substrate, refusals } = this.#options;
    if (route.to !== 'model') {
      answer(response, wire.models(await substrate.read(listModels)));
      return;
    }
    const model = await substrate.read((db) => findModel(db, route.id));
    if (model !== null) {
      answer(response, wire.model(model));
      return;
    }
    // Whoever looks for a name asks for nothing: counted, since a receipt each would fill the log.
    refusals.count('gateway', 'no_route');
    this.refuse({ request, response }, noModel(route.id));
  }

  async #serveBody(exchange: Exchange, admitted: Admitted, { to }: GatewayRoute): Promise<void> {
    const { request, response } = exchange;
    assertScope(admitted.actor, 'route.complete');
    assertBodyType(request, 'application/json');
    assertLengthFits(request.headers);
    const { take, release } = this.#room.hold(admitted.grant.id);
    response.once('close', release);
    const bounds = { valuesMax: limits.GATEWAY_VALUES_MAX, onBytes: take };
    let arrivedAt = performance.now();
    request.once('end', () => {
      arrivedAt = performance.now();
    });
    const arriving = readJsonBody(request, limits.GATEWAY_BODY_BYTES_MAX, bounds);
    const body = await inTime(arriving, limits.GATEWAY_BODY_MS_MAX);
    if (to === 'count') {
      const { model, reply } = anthropic.count(body);
      if ((await this.#options.substrate.read((db) => roleOf(db, model))) === null) throw noModel(model);
      answer(response, reply);
      return;
    }
    const wire = to === 'messages' ? anthropic : to === 'responses' ? responses : openai;
    const wanted = wire.parse(body, request.headers);
    await this.#complete(exchange, { wire, wanted, headers: askedInHeaders(request.headers), admitted, arrivedAt });
  }

  async #complete(exchange: Exchange, asked: Asked): Promise<void> {
    const { wire, wanted } = asked;
    const { response } = exchange;
    this.#halfClosed.listen(exchange);
    const begun = await this.#begin(asked);
    const { call, isOwn, facts } = begun;
    if (!(call instanceof RunningCall)) {
      const before = repeated(wire, call, { facts, stream: wanted.stream });
      answer(response, withReceipt(before, headersOf(begun, call), call));
      return;
    }
    const leave = call.attend(isOwn);
    const letGo = (): void => leave('The client hung up.');
    // Every answer closes in the end, so it is listened to itself: a signal would make an error of each.
    if (response.closed) letGo();
    else response.once('close', letGo);
    try {
      if (wanted.stream) await this.#stream(exchange, asked, begun, call);
      else {
        const end = await call.done;
        answer(response, withReceipt(wire.answer(end, facts), headersOf(begun, end), end));
      }
      if (isOwn) this.#options.metrics.added(performance.now() - asked.arrivedAt - call.askedMs);
    } finally {
      response.off('close', letGo);
      endUnlessTaken(response);
    }
  }

  async #stream({ response }: Exchange, { wire, arrivedAt }: Asked, begun: Begun, call: RunningCall): Promise<void> {
    const { facts, headers } = begun;
    const { metrics } = this.#options;
    const stream = new EventStream({
      response,
      encoder: wire.stream(facts),
      headers,
      onBegun: () => metrics.firstWords(performance.now() - arrivedAt),
    });
    const forget = call.listen((event) => stream.on(event));
    response.once('close', metrics.streamOpened());
    try {
      const end = await call.done;
      if (stream.begun || end.outcome.status === 'complete') stream.end(end);
      else {
        stream.release();
        answer(response, withReceipt(wire.answer(end, facts), headersOf(begun, end), end));
      }
    } catch (thrown) {
      // Not even a refusal could be put on record: the client is not to take it for an end.
      if (!stream.begun) {
        stream.release();
        throw thrown;
      }
      const error = toSeedError(thrown);
      if (error.code === 'internal') this.#options.onDefect(error);
      stream.fail(error);
    } finally {
      forget();
    }
  }

  /** @throws SeedError `not_found` for a model that is no role and mapped to none, and what planning throws */
  async #begin({ wanted, headers, admitted: { actor } }: Asked): Promise<Begun> {
    const { substrate, router } = this.#options;
    const id = newId(substrate.sources);
    const look = (db: ReadHandle) => this.#look(db, { wanted, headers, actor, id });
    let looked = await substrate.read(look);
    if (looked.plan !== null && 'offered' in looked.plan) {
      await acceptOffered(substrate, actor, looked.plan.offered);
      looked = await substrate.read(look);
    }
    const { role, stored } = looked;
    const plan = assertPlanned(looked.plan);
    if (role === null) throw noModel(wanted.model);
    if (plan === null && stored === null) assertKept(wanted.request);
    const request: CompletionRequest = {
      ...wanted.request,
      role,
      labels: mergedLabels(wanted.labels, headers.labels),
      session: plan?.session.id ?? stored?.session ?? null,
      whenCut: 'continue',
    };
    const { idempotencyKey, traceparent } = headers;
    const asker = { actor, dispatch: ON_DEMAND, idempotencyKey, traceparent };
    const { call, isOwn } = await this.#start(router, { request, asker, plan });
    // Of a call that it joins, what was planned for this one is not.
    const { session } = call instanceof RunningCall ? call.request : request;
    return {
      call,
      isOwn,
      opensSession: plan?.isNew === true,
      facts: {
        id: call.id,
        model: wanted.model,
        createdAt: substrate.sources.now(),
        includeUsage: wanted.includeUsage,
        toolNames: wanted.toolNames,
        stopSequences: wanted.request.stop,
      },
      headers: {
        'x-seed-call': call.id,
        // Where these SDKs look for what to quote when something is wrong.
        'x-request-id': call.id,
        'request-id': call.id,
        ...(session === null ? {} : { [SESSION]: session }),
        ...(wanted.notCarried.length === 0 ? {} : { 'x-seed-not-carried': wanted.notCarried.join(', ') }),
      },
    };
  }

  /** What is known of a request before anything is asked. */
  async #look(
    db: ReadHandle,
    { wanted, headers, actor, id }: Pick<Asked, 'wanted' | 'headers'> & { actor: Actor; id: string },
  ): Promise<{ role: string | null; stored: StoredCall | null; plan: Plan | Offered | null }> {
    const key = headers.idempotencyKey;
    const stored = key === null ? null : await findCallByKey(db, actor.grant, key);
    const role = await roleOf(db, wanted.model);
    // A repeat is told what became of the first; it goes on from nothing.
    if (stored !== null) return { role, stored, plan: null };
    const now = this.#options.substrate.sources.now();
    const isTaken = (session: string): boolean => this.#taken.has(session);
    const planning = { actor, asked: headers.session, request: wanted.request, id, now, isTaken };
    return { role, stored, plan: await planTurn(db, planning) };
  }

  /** While a call goes on in a session no other request is taken for a going on with it. */
  async #start(
    router: Router,
    { request, asker, plan }: { request: CompletionRequest; asker: Asker; plan: Plan | null },
  ): Promise<Pick<Begun, 'call' | 'isOwn'>> {
    if (plan === null) return ownOrJoined(await router.start(request, asker), asker);
    const session = plan.session.id;
    this.#taken.add(session);
    const over = (): void => {
      this.#taken.delete(session);
      this.#options.substrate.sessions.changed(session, [asker.actor.grant]);
    };
    try {
      const asking = { ...asker, turn: await turnOf(plan, asker.actor, request) };
      const call = await router.start(request, asking);
      if (call instanceof RunningCall) call.done.then(over, over);
      else over();
      return ownOrJoined(call, asking);
    } catch (thrown) {
      over();
      throw thrown;
    }
  }
}

/** A call that was begun before by the same key has another asker. */
function ownOrJoined(call: RunningCall | CallReport, asker: Asker): Pick<Begun, 'call' | 'isOwn'> {
  return { call, isOwn: call instanceof RunningCall && call.asker === asker };
}

function assertScope({ scopes }: Actor, scope: 'route.complete' | 'metrics.read'): void {
  if (scopes.has(scope)) return;
  throw new SeedError('forbidden', `This needs the scope ${scope}.`, {
    hint: 'Ask the owner for a key that has it.',
    data: { scope },
  });
}

function noModel(model: string): SeedError {
  return new SeedError(
    'no_route',
    `The model "${model.slice(0, 100)}" is no role of the owner’s policy, and mapped to none.`,
    {
      hint: 'GET /v1/models lists what may be asked; the owner maps a name with `seed gateway map MODEL ROLE`.',
      data: { argument: 'model' },
    },
  );
}

function tooManyOpen(): SeedError {
  return new SeedError('too_many', 'Too many requests are open under this key.', { hint: 'Wait for some to end.' });
}
