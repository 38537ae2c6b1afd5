import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { InvalidArgumentError, Option } from 'commander';
import { SeedError } from '../../errors.ts';
import type { Receipt } from '../../formats/receipt.ts';
import { isScope, PROFILES, QUALIFIED_SCOPES, SCOPES } from '../../substrate/identity/scopes.ts';
import { ask } from '../ask.ts';
import { parseLifetime } from '../duration.ts';
import type { GrantFacts } from '../grant-text.ts';
import { grantBlock, grantTable } from '../grant-text.ts';
import { printJson, printLine, spoken, printDoorProblem } from '../output.ts';
import { receiptTable } from '../receipt-text.ts';
import type { CommonOptions } from './shared.ts';
import { common, configOf } from './shared.ts';

export function addKey(program: Command): void {
  const key = program.command('key').description('who may come in over HTTP: issue, list, show and revoke access keys');
  addIssue(key);
  common(key.command('list').description('all access keys'), { examples: ['seed key list'] }).action(listKeys);
  const show = key
    .command('show')
    .argument('<key>', 'its name or id')
    .description('what a key may do, when it was last seen, what it did');
  common(show, { examples: ['seed key show builder'] }).action(showKey);
  const revoke = key
    .command('revoke')
    .argument('<key>', 'its name or id')
    .description('shut a key out, now, with everything issued under it');
  common(revoke, { examples: ['seed key revoke builder'] }).action(revokeKey);
}

interface IssueOptions extends CommonOptions {
  readonly scope?: readonly string[];
  readonly profile?: keyof typeof PROFILES;
  readonly expires: number;
  readonly publicKey?: string;
  readonly tools?: 'daily' | 'full';
}

const EVERY_SCOPE = [...Object.keys(SCOPES), ...Object.keys(QUALIFIED_SCOPES)].join(', ');

function collectScope(text: string, before: readonly string[] | undefined): string[] {
  if (isScope(text)) return [...(before ?? []), text];
  throw new InvalidArgumentError(`Scopes are ${EVERY_SCOPE}.`);
}

function addIssue(key: Command): void {
  const issue = key
    .command('issue')
    .argument('<name>', 'lower-case letters, digits, dots and dashes')
    .description('issue an access key (owner act); a bearer key is shown once and stored nowhere')
    .addOption(new Option('--scope <scopes...>', `what it may do: ${EVERY_SCOPE}`).argParser(collectScope))
    .addOption(
      new Option('--profile <profile>', 'a named set of scopes (default: helper)').choices(Object.keys(PROFILES)),
    )
    .addOption(
      new Option('--expires <time>', 'how long it lasts: 12h, 30d, 8w')
        .argParser(parseLifetime)
        .default(30 * 86_400, '30d'),
    )
    .option(
      '--public-key <file>',
      'the helper’s own Ed25519 public key (PEM, or base64 of 32 bytes); it fetches tokens with it',
    )
    .addOption(new Option('--tools <set>', 'which tools it is shown').choices(['daily', 'full']));
  common(issue, {
    examples: [
      'seed key issue builder --profile helper',
      'seed key issue audit --scope receipt.read --expires 8w --json',
      'seed key issue ci --profile helper --public-key ci.pub.pem',
    ],
  }).action(issueKey);
}

interface Issued {
  readonly id: string;
  readonly name: string;
  readonly key: string | null;
  readonly scopes: readonly string[];
  readonly expires: string;
  readonly url: string;
  readonly token_endpoint: string | null;
  readonly halted: boolean;
  readonly problem: string | null;
}

async function issueKey(name: string, options: IssueOptions): Promise<void> {
  const named = options.profile === undefined ? [] : PROFILES[options.profile];
  const asked = [...new Set([...(options.scope ?? []), ...named])];
  // Where nothing is said, the least that is of use to a helper.
  const scopes = asked.length === 0 ? PROFILES.helper : asked;
  const input = {
    name,
    scopes,
    expires_in_s: options.expires,
    public_key: options.publicKey === undefined ? null : readPublicKey(options.publicKey),
    ...(options.tools === undefined ? {} : { tools: options.tools }),
  };
  const issued = await ask<Issued>(configOf(options), { tool: 'key_issue', input, access: 'write', ownerAct: true });
  if (options.json === true) printJson(issued);
  else {
    printInvitation(issued);
    if (issued.halted) printLine(spoken('\nThe seed is halted: nobody can come in until `seed resume`.'));
    printDoorProblem(issued.problem);
  }
}

/** 32 bytes in base64. */
const RAW_KEY = /^[A-Za-z0-9+/]{43}=$/;

/** The raw key in base64, of a PEM file or of one that holds just that. */
function readPublicKey(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new SeedError('not_found', `The file ${path} cannot be read.`, {
      hint: 'Name the file with the public key.',
      cause,
    });
  }
  if (RAW_KEY.test(text)) return text;
  try {
    const jwk = createPublicKey(text).export({ format: 'jwk' });
    if (jwk.crv === 'Ed25519') return Buffer.from(jwk.x ?? '', 'base64url').toString('base64');
  } catch {
    // Not a key at all: said below, as for a key of another kind.
  }
  throw new SeedError('invalid_input', `${path} is not an Ed25519 public key.`, {
    hint: 'Make one with `openssl genpkey -algorithm ed25519`.',
  });
}

function printInvitation({ id, name, key, scopes, expires, url, token_endpoint: tokenEndpoint }: Issued): void {
  printLine(`Issued ${name} (${id}), good until ${expires}, for: ${scopes.join(', ')}.`);
  printLine();
  if (key === null) {
    printLine('Send this to the helper:');
    printLine(`  MCP address     ${url}`);
    printLine(`  token endpoint  ${tokenEndpoint ?? ''}`);
    printLine(`  client id       ${id}`);
    printLine('  Sign a client assertion (private_key_jwt, EdDSA) whose audience is the origin of the token endpoint.');
    return;
  }
  printLine('Send this to the helper, by a way that nobody else reads. The key is shown this once:');
  printLine(`  MCP address    ${url}`);
  printLine(`  Authorization  Bearer ${key}`);
  if (!scopes.includes('route.complete')) return;
  printLine();
  printLine('With it as the API key, the SDKs ask models here:');
  printLine(`  OpenAI base URL     ${new URL(url).origin}/v1`);
  printLine(`  Anthropic base URL  ${new URL(url).origin}`);
}

async function listKeys(options: CommonOptions): Promise<void> {
  const { grants } = await ask<{ grants: readonly GrantFacts[] }>(configOf(options), {
    tool: 'key_list',
    access: 'read',
  });
  if (options.json === true) printJson({ keys: grants });
  else printLine(grants.length === 0 ? 'No keys: nobody can come in over HTTP.' : grantTable(grants));
}

async function showKey(key: string, options: CommonOptions): Promise<void> {
  const answer = await ask<{ grant: GrantFacts; receipts: readonly Receipt[] }>(configOf(options), {
    tool: 'key_show',
    input: { key },
    access: 'read',
  });
  if (options.json === true) {
    printJson(answer);
    return;
  }
  printLine(grantBlock(answer.grant));
  printLine();
  printLine(answer.receipts.length === 0 ? 'It has done nothing yet.' : receiptTable(answer.receipts));
}

async function revokeKey(key: string, options: CommonOptions): Promise<void> {
  const answer = await ask<Revoked>(configOf(options), {
    tool: 'key_revoke',
    input: { key },
    access: 'write',
  });
  if (options.json === true) printJson(answer);
  else printLine(revoked(answer));
}

/** What a removal answers. */
export interface Revoked {
  readonly name: string;
  readonly removed: number;
  readonly cut: number;
  readonly receipt: number;
}

/** What a removal did, in a sentence. */
function revoked({ name, removed, cut, receipt }: Revoked): string {
  const under = removed > 1 ? ` and ${removed - 1} issued under it` : '';
  return `${name}${under} can no longer come in.${cutWords(cut)} Receipt ${receipt} says so.`;
}

export function cutWords(cut: number): string {
  return cut > 0 ? ` ${cut} open connection${cut === 1 ? ' was' : 's were'} cut.` : '';
}
