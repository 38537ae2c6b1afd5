/**
 * Writes docs/reference/ from the code: commands, tools, error codes, the files of a home and the fields
 * of the gateway.
 *
 *   node scripts/reference.ts           writes the pages
 *   node scripts/reference.ts --check   fails when a page is not what the code says
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import * as z from 'zod';
import { buildProgram } from '../src/cli/cli.ts';
import type { FieldTable } from '../src/doors/gateway/fields.ts';
import { anthropic } from '../src/doors/gateway/anthropic/wire.ts';
import { ANTHROPIC, OPENAI, RESPONSES } from '../src/doors/gateway/fields.ts';
import { openai } from '../src/doors/gateway/openai/wire.ts';
import type { Reply } from '../src/doors/gateway/wire.ts';
import type { ErrorCode } from '../src/errors.ts';
import { ERROR_CODES, SeedError } from '../src/errors.ts';
import { HOME_ENTRIES } from '../src/substrate/home/layout.ts';
import type { Tool } from '../src/tools/define.ts';
import { allTools } from '../src/tools/catalogue.ts';

const FOLDER = path.join(import.meta.dirname, '..', 'docs', 'reference');
const NOTE = '<!-- Written by scripts/reference.ts from the code; change the code and run it again. -->';

/** A cell of a Markdown table. */
function cell(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');
}

function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}

function page(title: string, parts: readonly string[]): string {
  return `${[`# ${title}`, NOTE, ...parts].join('\n\n')}\n`;
}

// ---------------------------------------------------------------------------------------------
// Commands

function sentence(text: string): string {
  const [first = ''] = text;
  return `${first.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

/** What stands under the options in a command's help: examples and exit codes. */
function helpBelow(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}

function examplesOf(help: string): string[] {
  const block = /Examples:\n((?: {2}.*\n)+)/.exec(help)?.[1] ?? '';
  return block.split('\n').flatMap((line) => /^ {2}\$ (.*)$/.exec(line)?.[1] ?? []);
}

function exitsOf(help: string): string[][] {
  const block = /Exit codes:\n((?: {2}\d.*(?:\n|$))+)/.exec(help)?.[1] ?? '';
  return block.split('\n').flatMap((line) => {
    const [, exit = '', meaning = ''] = /^ {2}(\d) {2}(.*)$/.exec(line) ?? [];
    return exit === '' ? [] : [[exit, cell(meaning)]];
  });
}

function optionRows(command: Command): string[][] {
  return command.options
    .filter(({ hidden }) => !hidden)
    .map(({ flags, description, argChoices, mandatory }) => {
      const choices = argChoices === undefined ? '' : ` (${argChoices.map(code).join(', ')})`;
      return [code(flags), `${cell(description)}${choices}${mandatory ? '; required' : ''}`];
    });
}

function usageOf(command: Command, names: readonly string[]): string {
  const args = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [...names, '[options]', ...args].join(' ');
}

function commandSection(command: Command, names: readonly string[]): string {
  const help = helpBelow(command);
  const args = command.registeredArguments.map((argument) => {
    const choices = argument.argChoices === undefined ? '' : ` (${argument.argChoices.map(code).join(', ')})`;
    return [code(argument.name()), `${cell(argument.description)}${choices}`];
  });
  const examples = examplesOf(help);
  const exits = exitsOf(help);
  return [
    `## ${names.join(' ')}`,
    sentence(command.description()),
    `\`\`\`sh\n${usageOf(command, names)}\n\`\`\``,
    ...(args.length === 0 ? [] : [table(['Argument', 'Meaning'], args)]),
    ...(command.options.length === 0 ? [] : [table(['Option', 'Meaning'], optionRows(command))]),
    ...(examples.length === 0 ? [] : [`\`\`\`sh\n${examples.join('\n')}\n\`\`\``]),
    ...(exits.length === 0 ? [] : [table(['Exit', 'Meaning'], exits)]),
  ].join('\n\n');
}

function leaves(command: Command, names: readonly string[]): { command: Command; names: readonly string[] }[] {
  const below = command.commands.flatMap((child) => leaves(child, [...names, child.name()]));
  // A group that does something by itself, too, says how in its help.
  const isCommand = below.length === 0 || examplesOf(helpBelow(command)).length > 0;
  return isCommand ? [{ command, names }, ...below] : below;
}

async function cliPage(): Promise<string> {
  const program = await buildProgram('');
  const all = leaves(program, ['seed']);
  const index = all.map(({ command, names }) => {
    const anchor = names.join('-');
    return [`[${code(names.join(' '))}](#${anchor})`, cell(sentence(command.description()))];
  });
  return page('The `seed` command', [
    'From a checkout, `seed` is `npm run -s seed --`: `npm run -s seed -- status`.',
    'Every command takes `--home <dir>`; without it the home is `SEED_HOME`, else the folder `sovereign-seed` where the platform keeps a program’s data. With `--json` a command prints one JSON value on standard output (`seed watch`, `seed bus tail`, `seed coherence --watch` and a `seed memory export` without `--out` print one a line), errors included: `{"error": {"code", "message", "hint", "data"}}`. The codes are in [errors.md](errors.md).',
    table(['Command', 'What it does'], index),
    ...all.map(({ command, names }) => commandSection(command, names)),
  ]);
}

// ---------------------------------------------------------------------------------------------
// Tools

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}

function limits({ minimum, maximum, minLength, maxLength, type }: Schema): string {
  if (type === 'string' && maxLength !== undefined) return `, ${minLength ?? 0} to ${maxLength} characters`;
  // The largest safe integer is no limit that anybody meets.
  const top = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  const bottom = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum;
  if (bottom !== undefined && top !== undefined) return `, ${bottom} to ${top}`;
  return bottom === undefined ? '' : `, from ${bottom}`;
}

/** A type in a few words. */
function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  if (schema.type === 'array') {
    const items = typeOf(schema.items ?? {});
    return `array of ${items.includes(' or ') ? `(${items})` : items}`;
  }
  const type = Array.isArray(schema.type) ? schema.type.join(' or ') : (schema.type ?? 'any');
  return `${String(type)}${limits(schema)}`;
}

function propertyRows({ properties = {}, required = [] }: Schema, optionals: boolean): string[][] {
  return Object.entries(properties).map(([name, schema]) => {
    const absent = schema.default === undefined ? 'optional' : `default ${JSON.stringify(schema.default)}`;
    const presence = required.includes(name) && schema.default === undefined ? 'required' : absent;
    const facts = [typeOf(schema), ...(optionals ? [presence] : [])].join('; ');
    return [code(name), cell(facts), cell(schema.description ?? '')];
  });
}

function fields(title: string, schema: Schema, optionals: boolean): string[] {
  const rows = propertyRows(schema, optionals);
  if (rows.length === 0) return optionals ? ['Takes no arguments.'] : [];
  return [table([title, 'Form', 'Meaning'], rows)];
}

const SURFACES: Readonly<Record<Tool['surface'], string>> = {
  daily: 'Shown to every agent',
  full: 'Shown to agents that see the full set',
  owner: 'At the owner’s own door only',
};

function toolSection(tool: Tool): string {
  const scope = tool.scope === null ? 'no scope needed' : `scope \`${tool.scope}\``;
  const effect = tool.access === 'read' ? 'reads only' : 'leaves a receipt';
  const act = tool.ownerAct === true ? '; asks for the owner passphrase where one is set' : '';
  const input = z.toJSONSchema(tool.input, { io: 'input', unrepresentable: 'any' }) as Schema;
  const output = z.toJSONSchema(tool.output, { io: 'output', unrepresentable: 'any' }) as Schema;
  return [
    `## ${tool.name}`,
    `**${tool.title}.** ${tool.description}`,
    `${SURFACES[tool.surface]}; ${scope}; ${effect}${act}.`,
    ...fields('Argument', input, true),
    ...fields('Answer', output, false),
  ].join('\n\n');
}

function toolsPage(tools: readonly Tool[]): string {
  const index = tools.map((tool) => [
    `[${code(tool.name)}](#${tool.name})`,
    tool.surface,
    tool.scope === null ? '' : code(tool.scope),
    cell(tool.title),
  ]);
  return page('Tools', [
    'What agents, helpers and the owner’s command can ask of a seed. Each goes through the same pipeline: scope, input, effect and receipt, output. A refusal has a code from [errors.md](errors.md), says what was wrong and what to do next.',
    table(['Tool', 'Shown', 'Scope', 'What for'], index),
    ...tools.map(toolSection),
  ]);
}

// ---------------------------------------------------------------------------------------------
// Errors and the home

function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([name, { kind, status, meaning }]) => [
    code(name),
    kind,
    String(status),
    cell(meaning),
  ]);
  return page('Error codes', [
    'An error has a stable code, a message for a person, a hint that says what to do next, and small typed data. `refused`: the seed decided against it, and a receipt says so. `failed`: it could not be done. The status is what the HTTP door answers with.',
    table(['Code', 'Kind', 'HTTP', 'Meaning'], rows),
  ]);
}

function homePage(): string {
  const rows = Object.values(HOME_ENTRIES).map(({ path: name, kind, meaning, owner }) => [
    code(name),
    kind,
    cell(meaning),
    owner.startsWith('planned') ? cell(owner) : code(`src/${owner}`),
  ]);
  return page('The files of a home', [
    'A home is one folder, closed to other users of the machine. Back it up as a whole and while no daemon serves it, or the parts will not fit together.',
    table(['Name', 'Kind', 'What it is', 'Written by'], rows),
  ]);
}

// ---------------------------------------------------------------------------------------------
// The gateway

function fieldRows(place: string, rules: FieldTable): string[][] {
  return Object.entries(rules).map(([name, { fate, note, idle = [] }]) => {
    const accepted = idle.length === 0 ? '' : ` (unless ${idle.map(code).join(', ')})`;
    const where = place === 'body' || place === 'headers' ? name : `${place}.${name}`;
    return [code(where), `${fate}${accepted}`, cell(note)];
  });
}

function apiSection(title: string, tables: Readonly<Record<string, FieldTable>>): string {
  const rows = Object.entries(tables).flatMap(([place, rules]) => fieldRows(place, rules));
  return [`## ${title}`, table(['Field', 'Fate', 'What that means'], rows)].join('\n\n');
}

/** What a call through the gateway can end with, and the fault of the last attempt where that makes a difference. */
const GATEWAY_ERRORS: readonly (readonly [ErrorCode, string?])[] = [
  ['invalid_input'],
  ['unauthenticated'],
  ['key_revoked'],
  ['key_expired'],
  ['forbidden'],
  ['no_route'],
  ['conflict'],
  ['in_doubt'],
  ['superseded'],
  ['too_large'],
  ['unsupported_type'],
  ['over_ceiling'],
  ['too_many'],
  ['busy'],
  ['no_candidate'],
  ['stopping'],
  ['halted'],
  ['provider_failed'],
  ['provider_failed', 'rejected'],
  ['provider_failed', 'rate_limited'],
  ['provider_failed', 'overloaded'],
  ['provider_failed', 'timeout'],
  ['interrupted'],
  ['internal'],
];

/** What both SDKs do by themselves: ask twice more after a 408, a 409, a 429 or a 5xx, unless they are told not to. */
function asksAgain({ status, headers }: Reply): boolean {
  return (status >= 500 || [408, 409, 429].includes(status)) && headers['x-should-retry'] !== 'false';
}

function gatewayErrorRow([name, fault]: (typeof GATEWAY_ERRORS)[number]): string[] {
  const error = new SeedError(name, '', { hint: '', data: fault === undefined ? {} : { fault } });
  const [theirs, other] = [openai.error(error), anthropic.error(error)];
  const { type, code: named } = (JSON.parse(theirs.body) as { error: { type: string; code: string } }).error;
  const kind = (JSON.parse(other.body) as { error: { type: string } }).error.type;
  return [
    fault === undefined ? code(name) : `${code(name)}, the last attempt ${code(fault)}`,
    `${theirs.status} ${code(type)}, ${code(named)}`,
    `${other.status} ${code(kind)}`,
    asksAgain(theirs) ? 'yes' : 'no',
  ];
}

function gatewayPage(): string {
  return page('What the gateway carries', [
    'What becomes of each field that a client of OpenAI’s or Anthropic’s API sends; how to connect one is in [gateway.md](../gateway.md).',
    [
      '- **carried**: it does what the API says.',
      '- **listed**: the request goes on without it, and the header `x-seed-not-carried` of the answer names it.',
      '- **refused**: 400, naming the field. The answer would be another one than was asked for.',
    ].join('\n'),
    'A field that is null, or has the value after *unless*, asks for nothing. A field that is not in the table is listed. A role, a type of content or a type of tool that is not in the table is refused.',
    apiSection('OpenAI: `POST /v1/chat/completions`', OPENAI),
    apiSection('OpenAI: `POST /v1/responses`', RESPONSES),
    apiSection('Anthropic: `POST /v1/messages`, `POST /v1/messages/count_tokens`', ANTHROPIC),
    '## Answers',
    [
      '- `model` is the name that was asked for. Which model answered is in the call’s receipts, and in `system_fingerprint` of OpenAI’s answers.',
      '- An answer that was cut ends in an error of the API, never in a clean end, also in the middle of a stream. Before anything was said the error comes as an HTTP status.',
      '- A tool call comes once and whole, when its answer is.',
      '- Usage is what the model that answered last reports. Where it reports none, OpenAI’s answers have none and Anthropic’s say zero; a stream of Anthropic’s says its usage at the end.',
      '- Thinking is given out where the model that answered has the very name that was asked for; by that name it goes back. Any other stays in the transcript.',
      '- `count_tokens` is an estimate without a model: a third of the bytes of what is sent, and 4,096 for an image. That is about right for source code, and a third too much for English text.',
    ].join('\n'),
    '## Errors',
    'An error has the form of the API. Its text says what happened and what to do; beside it, `seed` has the code from [errors.md](errors.md) and small data, such as the ceiling’s name. `retry-after` is there where it is known when it may be worth another try. Both SDKs ask twice more by themselves after a 409, a 429 or a 5xx; where that changes nothing, `x-should-retry: false` tells them not to. (`over_ceiling` may be asked again where money is only held by calls under way.)',
    table(['Code', 'OpenAI', 'Anthropic', 'SDKs ask again'], GATEWAY_ERRORS.map(gatewayErrorRow)),
  ]);
}

/** Every page of the reference by its file name. */
export async function referencePages(): Promise<Readonly<Record<string, string>>> {
  // The reference speaks of `seed`, whatever this process was started as.
  delete process.env['SEED_COMMAND'];
  return {
    'cli.md': await cliPage(),
    'tools.md': toolsPage(await allTools()),
    'errors.md': errorsPage(),
    'home.md': homePage(),
    'gateway.md': gatewayPage(),
  };
}

/** The pages that are missing or are not what the code says. */
export async function drift(folder: string = FOLDER): Promise<string[]> {
  return Object.entries(await referencePages()).flatMap(([name, wanted]) => {
    try {
      return readFileSync(path.join(folder, name), 'utf8') === wanted ? [] : [name];
    } catch {
      return [name];
    }
  });
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--check')) {
    const stale = await drift();
    if (stale.length === 0) return 0;
    process.stderr.write(`docs/reference: ${stale.join(', ')} not what the code says; run node scripts/reference.ts\n`);
    return 1;
  }
  mkdirSync(FOLDER, { recursive: true });
  for (const [name, text] of Object.entries(await referencePages())) writeFileSync(path.join(FOLDER, name), text);
  return 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
