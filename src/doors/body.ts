/** Reads what comes in over HTTP, with limits on size, depth and form. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { SeedError, toSeedError } from '../errors.ts';
import type { JsonLimits } from './json-text.ts';
import { JSON_DEPTH_MAX, limitExceeded } from './json-text.ts';
import { isWellFormed } from './well-formed.ts';

const CHARSET = /^\s*charset\s*=\s*"?utf-?8"?\s*$/i;

/**
 * Looks at what a body says of itself before it is read: its type, and nothing that would have to
 * be decoded first.
 *
 * @throws SeedError `unsupported_type` (RFC 9110 §15.5.16)
 */
export function assertBodyType({ headers }: IncomingMessage, type: string): void {
  const [name = '', ...parameters] = (headers['content-type'] ?? '').split(';');
  if (name.trim().toLowerCase() !== type) {
    throw new SeedError('unsupported_type', `The body must be of type ${type}.`, {
      hint: `Send it with the header "Content-Type: ${type}".`,
    });
  }
  const charset = parameters.find((parameter) => /^\s*charset\s*=/i.test(parameter));
  if (charset !== undefined && !CHARSET.test(charset)) throw notUtf8('says that it is in another character set');
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
  if (encoding !== 'identity' && encoding !== '') {
    throw new SeedError('unsupported_type', 'The body is compressed or encoded.', {
      hint: 'Send it as it is, without Content-Encoding.',
    });
  }
}

function notUtf8(why: string): SeedError {
  return new SeedError('unsupported_type', `The body ${why}.`, { hint: 'Send it in UTF-8.' });
}

type OnBytes = (bytes: number) => void;

async function readText(request: IncomingMessage, bytesMax: number, onBytes: OnBytes): Promise<string> {
  const body = await readBytes(request, bytesMax, onBytes);
  // Decoded as it is, each bad byte would become a character that nobody sent.
  if (!isUtf8(body)) throw new SeedError('invalid_input', 'The body is not UTF-8.', { hint: 'Send it in UTF-8.' });
  return body.toString('utf8');
}

/** By events: an iterator over the stream costs more than all else that is done with a small body. */
function readBytes(request: IncomingMessage, bytesMax: number, onBytes: OnBytes): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (answer: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('error', onCut).off('close', onCut);
      answer();
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > bytesMax) {
        settle(() => reject(tooLarge(bytesMax)));
        return;
      }
      try {
        onBytes(chunk.length);
      } catch (error) {
        settle(() => reject(toSeedError(error)));
      }
    };
    const onEnd = (): void =>
      settle(() => resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)));
    const onCut = (cause?: Error): void => settle(() => reject(cutOff(cause)));
    request.on('data', onData).once('end', onEnd).once('error', onCut).once('close', onCut);
    // It may have been cut off before anybody listened.
    if (request.destroyed) onCut();
  });
}

export interface JsonBodyOptions {
  /** How many values there may be; as many as the bytes allow where it is left out. */
  readonly valuesMax?: number;
  /** Told of bytes as they arrive; what it throws is what the request is refused with. */
  readonly onBytes?: OnBytes;
}

/** @throws SeedError `too_large` or `invalid_input`, and what `onBytes` throws */
export async function readJsonBody(
  request: IncomingMessage,
  bytesMax: number,
  // Each byte begins one value more, at most, beside the whole.
  { valuesMax = bytesMax + 1, onBytes = () => {} }: JsonBodyOptions = {},
): Promise<unknown> {
  return parseJsonWithin(await readText(request, bytesMax, onBytes), { depthMax: JSON_DEPTH_MAX, valuesMax });
}

/** `JSON.parse` for text from outside. @throws SeedError `invalid_input`, `too_large` */
function parseJsonWithin(text: string, bounds: JsonLimits): unknown {
  const exceeded = limitExceeded(text, bounds);
  if (exceeded === 'depthMax') {
    throw new SeedError('invalid_input', `The JSON is nested deeper than ${bounds.depthMax} levels.`, {
      hint: 'Send it flatter.',
    });
  }
  if (exceeded === 'valuesMax') {
    throw new SeedError('too_large', `The JSON has more than ${bounds.valuesMax} values.`, {
      hint: 'Send less at once.',
    });
  }
  const value = parse(text);
  // Only an escape can bring one in: text that is UTF-8 has none.
  if (SURROGATE_ESCAPE.test(text) && !isWellFormed(value)) {
    throw new SeedError('invalid_input', 'A text in the body has half a character in it (a lone surrogate).', {
      hint: 'Send text that is valid Unicode.',
    });
  }
  return value;
}

const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new SeedError('invalid_input', 'The body is not JSON.', { hint: 'Send one JSON value in UTF-8.', cause });
  }
}

/** Whoever hangs up in the middle is no defect of ours, and must not fill the log. */
function cutOff(cause: unknown): SeedError {
  return new SeedError('interrupted', 'The connection ended before the request did.', {
    hint: 'Send it again.',
    cause,
  });
}

function tooLarge(bytesMax: number): SeedError {
  return new SeedError('too_large', `The request is larger than ${bytesMax} bytes.`, { hint: 'Send less at once.' });
}

/** A form's fields (application/x-www-form-urlencoded); one that comes twice is refused. */
export async function readFormBody(request: IncomingMessage, bytesMax: number): Promise<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(await readText(request, bytesMax, () => {}))) {
    if (Object.hasOwn(fields, name)) {
      throw new SeedError('invalid_input', 'A field of the form comes twice.', { hint: 'Send each field once.' });
    }
    fields[name] = value;
  }
  return fields;
}
