/** How clients are pointed at the gateway: what is written into Claude Code's settings, and that it comes out again. */
import * as fc from '../../support/fast-check.ts';
import { parse } from 'yaml';
import { describe, expect, test } from 'vitest';
import {
  addGateway,
  claudeSettings,
  codexConfig,
  removeGateway,
  sdkEnvironment,
} from '../../../src/cli/connect/gateway.ts';

const FACTS = { origin: 'http://127.0.0.1:7331', keyFile: '/home/me/my key', role: 'worker', isRoleNamed: false };

describe('the settings of Claude Code', () => {
  test('get the address and a command that prints the key, and nothing else moves', () => {
    const before = '{\n  "model": "opus"\n}\n';
    const { text, change } = addGateway(before, FACTS);
    expect(change).toBe('added');
    expect(JSON.parse(text)).toEqual({
      model: 'opus',
      env: { ANTHROPIC_BASE_URL: 'http://127.0.0.1:7331' },
      apiKeyHelper: "cat '/home/me/my key'",
    });
    expect(addGateway(text, FACTS)).toEqual({ text, change: 'none' });
    expect(addGateway(text, { ...FACTS, origin: 'http://127.0.0.1:7332' }).change).toBe('updated');
    expect(removeGateway(text, FACTS.origin)).toEqual({ text: before, change: 'removed' });
  });

  test('are left alone where another key would come first', () => {
    for (const settings of [
      { apiKeyHelper: '/usr/bin/vault read key' },
      { env: { ANTHROPIC_AUTH_TOKEN: 'x' } },
      { env: { ANTHROPIC_API_KEY: 'x' } },
      { env: { ANTHROPIC_BASE_URL: 'https://other.example' } },
    ]) {
      expect(() => addGateway(JSON.stringify(settings), FACTS)).toThrow('of their own');
    }
    expect(removeGateway('{"env":{"ANTHROPIC_BASE_URL":"https://other.example"}}', FACTS.origin).change).toBe('none');
  });

  test('name a role that was asked for, unless another model stands there; it goes with the rest', () => {
    const named = { ...FACTS, isRoleNamed: true };
    const before = '{"env":{"A":"1"}}';
    const { text } = addGateway(before, named);
    expect(JSON.parse(text)).toMatchObject({ env: { A: '1', ANTHROPIC_MODEL: 'worker' } });
    expect(removeGateway(text, FACTS.origin, ['worker']).text).toBe(before);
    // With another role it is changed; a model of the user’s own stays.
    expect(addGateway(text, { ...named, role: 'thinker' }).change).toBe('updated');
    const own = '{"env":{"ANTHROPIC_MODEL":"claude-x"}}';
    expect(() => addGateway(own, named)).toThrow('of their own');
    expect(removeGateway(addGateway(own, FACTS).text, FACTS.origin, ['worker']).text).toBe(own);
  });

  test('mean the same as before when it is taken out, whatever was in them', () => {
    const settings = fc.dictionary(fc.constantFrom('model', 'permissions', 'hooks', 'statusLine'), fc.jsonValue());
    const env = fc.option(fc.dictionary(fc.constantFrom('A', 'B'), fc.string(), { minKeys: 1 }), { nil: undefined });
    fc.assert(
      fc.property(settings, env, fc.constantFrom(undefined, 2, 4), (rest, own, indent) => {
        const text = JSON.stringify({ ...rest, ...(own === undefined ? {} : { env: own }) }, null, indent);
        const added = addGateway(text, FACTS);
        expect(JSON.parse(removeGateway(added.text, FACTS.origin).text)).toEqual(JSON.parse(text));
      }),
    );
  });
});

test('what is printed names no key, and where it is to come from', () => {
  expect(claudeSettings({ ...FACTS, keyFile: null })).toMatchObject({ env: { ANTHROPIC_AUTH_TOKEN: 'KEY' } });
  expect(sdkEnvironment('openai-sdk', FACTS)).toEqual([
    'export OPENAI_BASE_URL=http://127.0.0.1:7331/v1',
    `export OPENAI_API_KEY="$(cat '/home/me/my key')"`,
  ]);
  expect(sdkEnvironment('anthropic-sdk', { ...FACTS, keyFile: null })[0]).toBe(
    'export ANTHROPIC_BASE_URL=http://127.0.0.1:7331',
  );
  // Of TOML's many forms only tables and strings: each line is one of both.
  for (const line of codexConfig(FACTS).split('\n')) expect(line).toMatch(/^(?:|\[[\w.]+\]|\w+ = ".*")$/);
  expect(parse(codexConfig(FACTS).match(/base_url = (".*")/)?.[1] ?? '')).toBe('http://127.0.0.1:7331/v1');
});
