import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { PROVIDER_MODULES } from '../../../../src/mind/router/providers/index.ts';
import { PROVIDERS } from '../../../../src/substrate/policy/model.ts';

const SDKS = ['@anthropic-ai/sdk', 'openai', '@google/genai', 'ollama'];

test('every provider that policy knows has its module, under its own name', () => {
  for (const name of PROVIDERS) expect(PROVIDER_MODULES[name].name).toBe(name);
  expect(Object.keys(PROVIDER_MODULES).toSorted()).toEqual([...PROVIDERS].toSorted());
});

test('no SDK is loaded before a call needs it', async () => {
  const index = new URL('../../../../src/mind/router/providers/index.ts', import.meta.url).href;
  const load = async (more: string): Promise<string[]> => {
    const script = `
      import { registerHooks } from 'node:module';
      const seen = [];
      registerHooks({ resolve: (name, context, next) => (seen.push(name), next(name, context)) });
      const { PROVIDER_MODULES } = await import(${JSON.stringify(index)});
      ${more}
      process.stdout.write(JSON.stringify(seen));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 20_000,
    });
    return JSON.parse(stdout) as string[];
  };
  const isSdk = (name: string): boolean => SDKS.some((sdk) => name === sdk || name.startsWith(`${sdk}/`));
  expect((await load('')).filter(isSdk)).toEqual([]);
  // The same look at a call sees its SDK.
  const call = `
    const request = { model: 'm', messages: [], tools: [], maxOutputTokens: 1, stop: [] };
    const ask = async () => new Response('');
    const context = { baseUrl: 'http://127.0.0.1:9', credential: null, ask, signal: new AbortController().signal };
    try { for await (const _ of PROVIDER_MODULES.nvidia.stream(request, context)); } catch {}`;
  expect((await load(call)).some(isSdk)).toBe(true);
});
