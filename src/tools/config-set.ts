import * as z from 'zod';
import { SeedError } from '../errors.ts';
import type { Operation } from '../substrate/substrate.ts';
import { parsePublicUrl, writePublicUrl, writeSwitch } from '../substrate/switches.ts';
import { defineTool } from './define.ts';

export const configSet = defineTool({
  name: 'config_set',
  title: 'Set something for the whole seed',
  description: 'Use when OAuth discovery should be served, or not, or the address behind a proxy should be pinned.',
  scope: 'config.set',
  surface: 'owner',
  ownerAct: true,
  access: 'write',
  annotations: { idempotent: true },
  input: z.strictObject({ name: z.enum(['oauth', 'public-url']), value: z.string().min(1).max(300) }),
  output: z.object({ receipt: z.int() }),
  handler: async ({ name, value }, { actor, substrate }) => {
    const { seq } = await substrate.operate({ action: 'config.set', actor }, async (op) => {
      op.receipt({ detail: { name, value } });
      await (name === 'oauth' ? setOauth(op, value) : setPublicUrl(op, value));
    });
    return { receipt: seq };
  },
});

async function setOauth(op: Operation, value: string): Promise<void> {
  if (value !== 'on' && value !== 'off') throw wrongValue('oauth is on or off.', '`seed config set oauth on`');
  await writeSwitch(op, 'oauth', value === 'on');
}

async function setPublicUrl(op: Operation, value: string): Promise<void> {
  const url = parsePublicUrl(value);
  if (url === null && value !== 'off') {
    throw wrongValue(
      'public-url is an https address without a path, or off.',
      '`seed config set public-url https://seed.example.org`',
    );
  }
  await writePublicUrl(op, url);
}

function wrongValue(message: string, example: string): SeedError {
  return new SeedError('invalid_input', message, {
    hint: `Such as ${example}.`,
    data: { argument: 'value' },
  });
}
