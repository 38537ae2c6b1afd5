import * as z from 'zod';
import { isoTime } from '../substrate/sources.ts';
import { readSwitch } from '../substrate/switches.ts';
import { COVERED } from './covered.ts';
import { defineTool } from './define.ts';
import { viewMind } from './mind-view.ts';
import { counted, lines } from './text.ts';

export const seedStatus = defineTool({
  name: 'seed_status',
  title: 'How the seed is',
  description: 'Use when you want to know whether the seed serves, where it lives and how far its log has come.',
  scope: 'seed.status',
  surface: 'full',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({
    serving: z.boolean(),
    pid: z.int().nullable(),
    version: z.string(),
    home: z.string().nullable(),
    seed: z.string(),
    started: z.string().nullable(),
    url: z.string().nullable().describe('Where MCP is served over HTTP'),
    problem: z.string().nullable(),
    agents: z.array(z.string()).describe('Local agents that are connected'),
    halted: z.boolean(),
    mind: z.enum(['off', 'starting', 'resting', 'working', 'silent', 'paused']),
    store: z.string().nullable(),
    receipts: z.int(),
    newest_receipt: z.string().nullable(),
    covers: z.string().describe('What the ceilings and receipts of model calls cover'),
  }),
  text: (status) =>
    lines(
      `${status.serving ? 'Serving' : 'Not serving'}${status.halted ? ', halted for all outsiders' : ''}; version ${status.version}, seed ${status.seed}.`,
      status.home === null ? '' : `Home ${status.home}; store ${status.store ?? ''}.`,
      `${counted(status.receipts, 'receipt')}${status.newest_receipt === null ? '' : `, the newest of ${status.newest_receipt}`}.`,
      status.url === null ? '' : `MCP over HTTP at ${status.url}.`,
      status.problem ?? '',
      status.covers,
      // A helper is not told what the box is like, nor who else is there.
      status.home === null
        ? ''
        : status.agents.length === 0
          ? 'No local agent is connected.'
          : `Connected: ${status.agents.join(', ')}.`,
    ),
  handler: async (_input, { actor, substrate, daemon, mind }) => {
    // What a helper from outside has no use for would only serve an attack.
    const isInside = actor.kind !== 'helper';
    const log = await substrate.log();
    // How it is at this moment, which waits for nothing: whoever waits for a seed to serve asks this.
    const pulse = mind.pulse?.now() ?? null;
    const isStarting = pulse === null && mind.pulse?.turns === true;
    const { state, paused } = await substrate.read((db) => viewMind(db, { pulse }));
    const serving = daemon.role === 'daemon';
    return {
      serving,
      pid: serving && isInside ? daemon.pid : null,
      version: daemon.version,
      home: isInside ? substrate.home : null,
      seed: substrate.seed,
      started: serving ? isoTime(daemon.startedAt) : null,
      url: daemon.doors.url,
      problem: daemon.doors.problem,
      agents: isInside ? [...daemon.agents()] : [],
      halted: await substrate.read((db) => readSwitch(db, 'halted')),
      mind: isStarting ? ('starting' as const) : paused && state !== 'off' ? ('paused' as const) : state,
      store: isInside ? substrate.driver : null,
      receipts: log.size,
      newest_receipt: log.size === 0 ? null : log.time,
      covers: COVERED,
    };
  },
});
