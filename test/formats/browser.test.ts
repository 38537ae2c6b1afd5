/** The verifier as a web page has it: one script, and nothing but what every browser offers. */
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { rolldown } from 'rolldown';
import { beforeAll, describe, expect, it } from 'vitest';
import { fileOf, buildLog } from './build-log.ts';

const ENTRY = fileURLToPath(new URL('../../src/formats/verify.ts', import.meta.url));
/** Also in every browser, and not part of the language itself. */
const BROWSER = { TextEncoder, TextDecoder, btoa };
const log = buildLog({ size: 12, versions: 2 });
let script = '';
let imports: readonly string[] = [];

beforeAll(async () => {
  const bundle = await rolldown({ input: ENTRY, platform: 'browser' });
  const { output } = await bundle.generate({ format: 'iife', name: 'seed' });
  await bundle.close();
  script = output[0].code;
  imports = output[0].imports;
});

/** The verdict from inside the bare context, which the export enters as JSON, as over the network. */
function verdictInside(given: { file: Uint8Array }): unknown {
  const context = createContext({
    ...BROWSER,
    given: JSON.stringify({ ...log, text: Buffer.from(given.file).toString() }),
  });
  runInContext(script, context);
  const verdict: unknown = runInContext(
    `const { roots, checkpoint, text } = JSON.parse(given);
     const verifier = seed.createLogVerifier({ roots, pinnedRoot: roots[0], checkpoint });
     verifier.write(new TextEncoder().encode(text));
     JSON.stringify(verifier.finish());`,
    context,
  );
  return JSON.parse(String(verdict));
}

describe('the verifier without Node', () => {
  it('imports nothing, and the context has nothing of Node', () => {
    expect(imports).toEqual([]);
    const context = createContext({ ...BROWSER });
    for (const name of ['Buffer', 'process', 'require', 'setImmediate', 'global']) {
      expect(runInContext(`typeof ${name}`, context)).toBe('undefined');
    }
  });

  it('proves a log and finds a tamper', () => {
    expect(verdictInside(log)).toMatchObject({ verdict: 'proven', size: 12, seed: log.seed });
    const tampered = { file: fileOf(log.lines.toSpliced(4, 1)) };
    expect(verdictInside(tampered)).toMatchObject({ verdict: 'broken', firstBroken: { seq: 4, problem: 'wrong_seq' } });
  });
});
