/** Streams of one key, and how long a removal takes to reach the last of them. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:http';
import { httpHeaders, listenMessage } from './protocol.ts';

const URI = 'seed://checkpoint';

export interface Streams {
  /** How many are open still. */
  readonly open: () => number;
  /** When the last one was cut, by `performance.now()`. */
  readonly cut: Promise<number>;
  readonly close: () => void;
}

/** Opens that many streams and waits until each is acknowledged. */
export async function openStreams(url: string, key: string, count: number): Promise<Streams> {
  const agent = new Agent({ keepAlive: false });
  const answers = await Promise.all(Array.from({ length: count }, () => openStream(url, key, agent)));
  const alive = new Set(answers);
  const cut = Promise.withResolvers<number>();
  for (const answer of answers) {
    answer.on('error', () => {});
    answer.once('close', () => {
      alive.delete(answer);
      if (alive.size === 0) cut.resolve(performance.now());
    });
    answer.resume();
  }
  return {
    open: () => alive.size,
    cut: cut.promise,
    close: () => {
      for (const answer of answers) answer.destroy();
      agent.destroy();
    },
  };
}

async function openStream(url: string, key: string, agent: Agent): Promise<IncomingMessage> {
  const { hostname: host, port, pathname: path } = new URL(url);
  const headers = httpHeaders(key, 'subscriptions/listen');
  const outgoing = request({ host, port, path, method: 'POST', agent, headers });
  outgoing.end(listenMessage(URI));
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  const [first] = (await once(answer, 'data')) as [Buffer];
  if (!first.toString('utf8').includes('acknowledged')) throw new Error(`No stream: ${first.toString('utf8')}`);
  return answer;
}
