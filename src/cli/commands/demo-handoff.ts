import type { Command } from 'commander';
import type { ClientEvent, Stand } from '../demo/client.ts';
import type { Audience, Clients, Entry, Handoff } from '../demo/handoff.ts';
import { FIRST, SECOND } from '../demo/cast.ts';
import type { Spoken } from '../demo/models.ts';
import type { Say } from './demo-stage.ts';
import { onStage } from './demo-stage.ts';
import type { CommonOptions } from './shared.ts';
import { common } from './shared.ts';

/** Hex digits of a hash that a person compares. */
const HASH_CHARS = 16;
const LABEL_CHARS = 13;
const WHO_CHARS = 13;
/** Of what a model said before it failed. */
const QUOTE_CHARS = 25;

export function addDemoHandoff(demo: Command): void {
  const handoff = demo
    .command('handoff')
    .description(
      'an answer that three models give together, and work that a second client ends when the first is killed',
    );
  common(handoff, {
    examples: ['seed demo handoff', 'seed demo handoff --json'],
    exits: {
      ok: 'shown; nothing was lost or done twice',
      failed: 'could not be shown, or something was not as promised',
    },
  })
    .addHelpText(
      'after',
      '\nNeeds no key and no model: the models are simulated; the seed, the clients and the tools are real. --home names where the demonstration’s seed is made, a folder that is not there yet; it is removed in any case. What is handed over here was offered before; without an offer, another local agent can take a session over when its client has been gone for 30 s.',
    )
    .action(showHandoff);
}

async function showHandoff(options: CommonOptions): Promise<void> {
  const acts = await import('../demo/handoff.ts');
  const { startSimulatedModels } = await import('../demo/models.ts');
  await onStage(options, async ({ stage, say, endings }) => {
    say(
      'Work that outlives its models and its client, on a seed that is made for this.',
      'The models are simulated: there is no key, and nothing leaves this machine.',
      'The seed, its receipts, the MCP clients and the tools that they run are real.',
    );
    const models = await startSimulatedModels();
    const clients: Clients = new Set();
    const strike = (): void => {
      for (const client of clients) client.strike();
    };
    endings.push({
      now: strike,
      orderly: async () => {
        for (const client of clients) client.strike();
        await models.close();
      },
    });
    await stage.start();
    const handoff = await acts.handOver(stage, { models, clients, audience: audienceOf(say) });
    const promises = acts.promisesOf(handoff);
    say(
      ...recordLines(handoff),
      ...Object.entries(promises).map(([what, kept]) => `   ${kept ? 'yes' : 'NO '}  ${what}`),
    );
    return { told: { ...handoff, promises }, kept: Object.values(promises).every(Boolean) };
  });
}

function audienceOf(say: Say): Audience {
  let who = FIRST;
  return {
    begins: (name, pid) => {
      who = name;
      if (name === FIRST) say('', `1. The client “${name}” begins (process ${pid}, MCP over stdio)`);
      else say('', `3. The client “${name}” goes on (process ${pid}, MCP over HTTP with a key)`);
    },
    event: (event, spoken) => say(...eventLines(event, { who, spoken })),
    killed: (pid) =>
      say(
        '',
        `2. “${FIRST}” is killed without warning (kill -9 ${pid})`,
        line('', 'It was to write the total; whether it did, it told nobody.'),
      ),
  };
}

/** A line under a label. */
function line(label: string, text: string): string {
  return `   ${label.padEnd(LABEL_CHARS)} ${text}`.trimEnd();
}

function eventLines(event: ClientEvent, { who, spoken }: { who: string; spoken: readonly Spoken[] }): string[] {
  switch (event.event) {
    case 'opened':
      return [line('task', 'add up the figures in a folder, write the total to total.txt')];
    case 'answered':
      return answerLines(event.text, spoken);
    case 'carried_out':
      return [line(who, `${event.name}: ${event.result.trim().replaceAll('\n', ' ')}`)];
    case 'offered':
      return [line(who, `offers its session to “${SECOND}” by a token, receipt ${event.receipt}`)];
    case 'about_to':
      return [line(who, `is asked for ${event.name}, and …`), transcriptLine(event)];
    case 'accepted':
      return [line(who, `accepts the session of “${event.from}”, receipt ${event.receipt}`), transcriptLine(event)];
    case 'looked':
      return [line(who, `${event.name} is ${event.state}: looks first; it ${event.happened ? 'was' : 'was not'} done`)];
    case 'closed':
      return [line(who, `closes the session, receipt ${event.receipt}`)];
    default:
      return [];
  }
}

function transcriptLine({ messages, hash }: Stand): string {
  return line('transcript', `${messages} messages, hash ${hash.slice(0, HASH_CHARS)}…`);
}

const ENDED: Readonly<Record<Spoken['ended'], string>> = {
  whole: '',
  limit: 'its limit, in the middle',
  cut: 'the line is cut',
  refused: 'its limit, still',
};

/** What each model said of an answer; where several did, the one answer that the session holds. */
function answerLines(text: string, spoken: readonly Spoken[]): string[] {
  const parts = spoken.map(({ target, text: said, ended }) => {
    const quoted = said === '' ? '' : `“${said}”`;
    return line(target, ended === 'whole' ? quoted : `${quoted.padEnd(QUOTE_CHARS)} ← ${ENDED[ended]}`);
  });
  const several = spoken.filter(({ text: said }) => said !== '').length > 1;
  return several ? [...parts, line('one answer', `“${text}”`)] : parts;
}

function recordLines({ record, before, after, recomputed, end, proof }: Handoff): string[] {
  const hash = (what: string, messages: number, hex: string): string =>
    `   ${what.padEnd(34)} ${String(messages).padStart(2)} messages  ${hex.slice(0, HASH_CHARS)}…`;
  return [
    '',
    '4. What is on record: every hop has its receipts',
    ...record.flatMap(entryLines),
    '',
    hash('transcript when “desk” was killed', before.messages, before.hash),
    hash('transcript that “travel” got', after.messages, after.hash),
    hash('computed again from its export', before.messages, recomputed.at_the_kill),
    hash('transcript at the end', end.messages, end.hash),
    hash('computed again from its export', end.messages, recomputed.at_the_end),
    '',
    `   ${proof.receipts} receipts, exported and checked against the root of trust: ${proof.verdict}`,
    '',
  ];
}

/** That somebody is asked is worth a line only where it goes on from somebody else. */
function entryLines({ receipt, who, what, code, from, hash }: Entry): string[] {
  if (what === 'asked' && from === null) return [];
  const words = {
    asked: `goes on from ${from ?? ''}, transcript ${hash?.slice(0, HASH_CHARS) ?? '?'}…`,
    failed: `fails: ${code ?? '?'}`,
    answered: 'answers',
    offered: 'offers its session',
    accepted: `accepts it, transcript ${hash?.slice(0, HASH_CHARS) ?? '?'}…`,
  }[what];
  return [line(`receipt ${receipt}`, `${who.padEnd(WHO_CHARS)} ${words}`)];
}
