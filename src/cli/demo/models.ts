/**
 * Three simulated models for `seed demo handoff`, behind one server on loopback. All three can do one
 * task, the one of `task.ts`, from nothing but the conversation that they are sent; so what the next one
 * does shows what reached it. Two of them fail, once in the middle of an answer each.
 */
import type { ServerResponse } from 'node:http';
import type { Loopback } from './loopback.ts';
import { serveLoopback } from './loopback.ts';
import { numbersIn, TOTAL_FILE } from './task.ts';
import type { Asked, Language, Reply, Streamed } from './wire.ts';
import { LIMIT_REACHED, readAsked, stream } from './wire.ts';

export type TargetName = 'first-cloud' | 'second-cloud' | 'this-machine';

/** The order in which policy asks them. */
export const TARGETS: Readonly<Record<TargetName, Language>> = {
  'first-cloud': 'anthropic',
  'second-cloud': 'nvidia',
  'this-machine': 'local-ollama',
};

/** What a model got out of one answer, and how it ended. */
export interface Spoken {
  readonly target: TargetName;
  readonly text: string;
  readonly ended: 'whole' | 'limit' | 'cut' | 'refused';
}

export interface SimulatedModels extends Loopback {
  readonly baseUrl: (target: TargetName) => string;
  /** What they have sent, in order. */
  readonly spoken: readonly Spoken[];
}

/** Pieces that come through before an answer breaks off. */
const PIECES_BEFORE_BREAK = 3;
const PIECE = /[\s\S]{1,7}/gu;
const RETRY_AFTER_S = '3600';

export async function startSimulatedModels(): Promise<SimulatedModels> {
  const spoken: Spoken[] = [];
  const broken = new Set<TargetName>();
  let calls = 0;
  const server = await serveLoopback(({ path, body, response }) => {
    const target = (Object.keys(TARGETS) as TargetName[]).find((name) => path.startsWith(`/${name}/`));
    if (target === undefined) return void response.writeHead(404).end();
    const asked = readAsked(body);
    const turn = turnAfter(asked.results);
    const reply = {
      pieces: goOn(turn.text, asked.saidLast).match(PIECE) ?? [],
      calls: turn.calls.map((call) => {
        calls += 1;
        return { id: `call_${calls}`, ...call };
      }),
    };
    const spoke = (pieces: readonly string[], ended: Spoken['ended']): void =>
      void spoken.push({ target, text: pieces.join(''), ended });
    const ended = fate(target, { asked, broken });
    if (ended === 'refused') {
      spoke([], ended);
      return void response.writeHead(429, { 'retry-after': RETRY_AFTER_S }).end('{}');
    }
    const isWhole = ended === 'whole';
    const pieces = isWhole ? reply.pieces : reply.pieces.slice(0, PIECES_BEFORE_BREAK);
    spoke(pieces, ended);
    if (isWhole) answer(response, stream(TARGETS[target], asked, reply));
    else breakOff(response, { streamed: stream(TARGETS[target], asked, { pieces, calls: [] }), ended });
  });
  return { ...server, spoken, baseUrl: (target) => `${server.url}/${target}` };
}

/** The first two fail once where the files are to be read; whose limit is reached, that one stays away. */
function fate(target: TargetName, { asked, broken }: { asked: Asked; broken: Set<TargetName> }): Spoken['ended'] {
  if (broken.has(target)) return target === 'first-cloud' ? 'refused' : 'whole';
  if (target === 'this-machine' || asked.results.length !== 1) return 'whole';
  broken.add(target);
  return target === 'first-cloud' ? 'limit' : 'cut';
}

function answer(response: ServerResponse, { type, said, end }: Streamed): void {
  response.writeHead(200, { 'content-type': type }).end([...said, ...end].join(''));
}

function breakOff(
  response: ServerResponse,
  { streamed: { type, said }, ended }: { streamed: Streamed; ended: 'limit' | 'cut' },
): void {
  response.writeHead(200, { 'content-type': type });
  if (ended === 'limit') response.end(`${said.join('')}${LIMIT_REACHED}`);
  // What was said arrives before the line breaks.
  else response.write(said.join(''), () => setImmediate(() => response.destroy()));
}

interface Turn {
  readonly text: string;
  readonly calls: readonly Omit<Reply['calls'][number], 'id'>[];
}

/** What comes next in the task, by what the tools have given so far. */
function turnAfter(results: readonly string[]): Turn {
  const [listed, ...rest] = results;
  if (listed === undefined) {
    return { text: 'I look at what there is first.', calls: [{ name: 'list_files', arguments: {} }] };
  }
  const names = listed.split('\n');
  const [sum, written] = rest.slice(names.length);
  if (rest.length < names.length) {
    return {
      text: `There are ${names.length} files: ${names.join(', ')}.`,
      calls: names.map((name) => ({ name: 'read_file', arguments: { name } })),
    };
  }
  if (sum === undefined) {
    const numbers = rest.flatMap(numbersIn);
    return { text: `They have ${numbers.length} figures.`, calls: [{ name: 'add', arguments: { numbers } }] };
  }
  if (written === undefined) {
    const toWrite = { name: TOTAL_FILE, text: `${sum}\n` };
    return { text: `They add up to ${sum}.`, calls: [{ name: 'write_file', arguments: toWrite }] };
  }
  return { text: `Done: the total is ${sum}, and it stands in ${TOTAL_FILE}.`, calls: [] };
}

/** The rest of an answer whose beginning has been said; the whole of it otherwise. */
function goOn(text: string, saidLast: string): string {
  return saidLast !== '' && text.startsWith(saidLast) ? text.slice(saidLast.length) : text;
}
