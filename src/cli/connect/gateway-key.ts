/** Whether the key in a file is one that the gateway will take: said before a client is pointed at it. */
import * as z from 'zod';
import type { Config } from '../../config.ts';
import { SeedError } from '../../errors.ts';
import { ask } from '../ask.ts';
import type { GrantFacts } from '../grant-text.ts';
import { isReadableByOthers, readKeyFile } from '../mcp/key-file.ts';
import { shellLine } from '../shell.ts';

/** What of a key is looked at here: its grant's row says what it may do, and the door checks the signature. */
const Claims = z.looseObject({ jti: z.string().regex(/^[0-9a-f]{32}$/) });
/** Of 64 bytes (RFC 8037), in base64url. */
const SIGNATURE_CHARS = 86;

/** @throws SeedError `invalid_input`; never with anything of the content */
export async function assertGatewayKey(config: Config, path: string): Promise<void> {
  const id = grantOf(readKeyFile(path));
  if (id === null) throw unusable(path, 'does not hold an access key of a seed');
  if (isReadableByOthers(path)) {
    throw unusable(path, 'can be read by other users', `\`${shellLine(['chmod', '600', path])}\` closes it.`);
  }
  const { grants } = await ask<{ grants: readonly GrantFacts[] }>(config, { tool: 'key_list', access: 'read' });
  const grant = grants.find((one) => one.id === id);
  if (grant === undefined) throw unusable(path, 'holds a key that is not, or no longer, one of this seed');
  if (grant.expires !== null && Date.parse(grant.expires) <= Date.now()) {
    throw unusable(path, `holds the key ${grant.name}, which expired at ${grant.expires}`);
  }
  if (!grant.scopes.includes('route.complete')) {
    throw unusable(path, `holds the key ${grant.name}, which may not ask models: it lacks the scope route.complete`);
  }
}

/** The id of the grant that a key is for; null for what is no key. */
function grantOf(key: string): string | null {
  const [, payload = '', signature = '', ...rest] = key.split('.');
  if (signature.length !== SIGNATURE_CHARS || rest.length > 0) return null;
  try {
    return Claims.parse(JSON.parse(Buffer.from(payload, 'base64url').toString())).jti;
  } catch {
    return null;
  }
}

const ISSUE = 'Save what `seed key issue NAME --profile gateway` shows in it, alone (chmod 600).';

function unusable(path: string, why: string, hint = ISSUE): SeedError {
  return new SeedError('invalid_input', `The key file ${path} ${why}.`, { hint, data: { argument: 'key-file' } });
}
