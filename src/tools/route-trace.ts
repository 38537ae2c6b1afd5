import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { Receipt } from '../formats/receipt.ts';
import type { Trace } from '../substrate/trace.ts';
import { traceContent, traceReceipt } from '../substrate/trace.ts';
import { defineTool } from './define.ts';

const Step = z.object({
  receipt: z.int(),
  of: z.int().nullable(),
  time: z.string(),
  who: z.string(),
  outcome: z.string(),
  code: z.string().nullable(),
  input: z.string().nullable(),
  output: z.string().nullable(),
  detail: z.record(z.string(), z.unknown()),
});

const TraceView = z.object({
  call: z
    .object({
      id: z.string(),
      role: z.string(),
      asked_by: z.string(),
      session: z.string().nullable(),
      status: z.string(),
      input: z.string(),
      output: z.string().nullable(),
    })
    .nullable(),
  steps: z.array(Step),
});

export const routeTrace = defineTool({
  name: 'route_trace',
  title: 'From an answer to how it came about',
  description:
    'Use when you want to know which model really answered, who asked, under which policy and price, and every hop on the way: by the number of any receipt of the call, or the hash of what went in or came out.',
  scope: 'receipt.read',
  surface: 'full',
  access: 'read',
  input: z.strictObject({
    seq: z.int().min(0).optional(),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/, '64 hex digits')
      .optional(),
  }),
  output: TraceView,
  handler: async ({ seq, hash }, { substrate, signal }) => {
    if ((seq === undefined) === (hash === undefined)) throw oneOfTheTwo();
    const trace =
      seq === undefined
        ? await traceContent(substrate, hash ?? '', signal)
        : await substrate.read((db) => traceReceipt(db, seq));
    if (trace === null) throw notACall(seq === undefined ? `the hash ${hash?.slice(0, 12) ?? ''}…` : `receipt ${seq}`);
    return viewTrace(trace);
  },
  text: (view) => sayTrace(view).join('\n'),
});

function viewTrace({ call, receipts }: Trace): z.infer<typeof TraceView> {
  return {
    call:
      call === null
        ? null
        : {
            id: call.id,
            role: call.role,
            asked_by: call.actor,
            session: call.session,
            status: call.status,
            input: call.input,
            output: call.output,
          },
    steps: receipts.map(viewStep),
  };
}

function viewStep({ seq, of, time, actor, outcome, code, input, output, detail }: Receipt): z.infer<typeof Step> {
  return { receipt: seq, of, time, who: actor.id, outcome, code, input, output, detail };
}

function sayTrace({ call, steps }: z.infer<typeof TraceView>): string[] {
  const head =
    call === null
      ? 'Refused before it began.'
      : `Call ${call.id}: role ${call.role}, asked by ${call.asked_by}${call.session === null ? '' : `, session ${call.session}`}; ${call.status}.`;
  return [head, ...steps.map(sayStep)];
}

function sayStep({ receipt, of, time, who, outcome, code, detail }: z.infer<typeof Step>): string {
  const facts = Object.entries(detail)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const what = `${outcome}${code === null ? '' : ` (${code})`}${of === null ? '' : ` of ${of}`}`;
  return `  ${receipt}  ${time}  ${who}  ${what}  ${facts.join(' ')}`;
}

function oneOfTheTwo(): SeedError {
  return new SeedError('invalid_input', 'Name either a receipt (seq) or a hash.', {
    hint: 'Use seq for a receipt’s number, hash for content.',
    data: { argument: 'seq' },
  });
}

function notACall(what: string): SeedError {
  return new SeedError('not_found', `No model call belongs to ${what}.`, {
    hint: 'Find one with `seed receipts list --action route.attempt`, or name a hash that stands in it.',
  });
}
