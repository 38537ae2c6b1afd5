/** Reads what comes in over HTTP, with limits on size, depth and form. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { SeedError } from '../errors.ts';
import { isWellFormed } from './well-formed.ts';

/** How many arrays and objects may stand inside one another. */
const JSON_DEPTH_MAX = 64;

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

async function readText(request: IncomingMessage, bytesMax: number): Promise<string> {
  const body = await readBytes(request, bytesMax);
  // Decoded as it is, each bad byte would become a character that nobody sent.
  if (!isUtf8(body)) throw new SeedError('invalid_input', 'The body is not UTF-8.', { hint: 'Send it in UTF-8.' });
  return body.toString('utf8');
}

/** By events: an iterator over the stream costs more than all else that is done with a small body. */
function readBytes(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
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
      if (bytes > bytesMax) settle(() => reject(tooLarge(bytesMax)));
    };
    const onEnd = (): void =>
      settle(() => resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)));
    const onCut = (cause?: Error): void => settle(() => reject(cutOff(cause)));
    request.on('data', onData).once('end', onEnd).once('error', onCut).once('close', onCut);
    // It may have been cut off before anybody listened.
    if (request.destroyed) onCut();
  });
}

/** @throws SeedError `too_large` or `invalid_input` */
export async function readJsonBody(request: IncomingMessage, bytesMax: number): Promise<unknown> {
  return parseJsonWithin(await readText(request, bytesMax), JSON_DEPTH_MAX);
}

/** `JSON.parse` for text from outside. @throws SeedError `invalid_input` */
function parseJsonWithin(text: string, depthMax: number): unknown {
  if (jsonDepth(text, depthMax) > depthMax) {
    throw new SeedError('invalid_input', `The JSON is nested deeper than ${depthMax} levels.`, {
      hint: 'Send it flatter.',
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

/** The deepest nesting of a JSON text, counted no further than one past `stopAfter`. */
function jsonDepth(text: string, stopAfter: number): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length && deepest <= stopAfter; i++) {
    const unit = text.charCodeAt(i);
    if (inString) {
      if (unit === BACKSLASH) i++;
      else if (unit === QUOTE) inString = false;
    } else if (unit === QUOTE) inString = true;
    else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) deepest = Math.max(deepest, ++depth);
    else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth--;
  }
  return deepest;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

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
  for (const [name, value] of new URLSearchParams(await readText(request, bytesMax))) {
    if (Object.hasOwn(fields, name)) {
      throw new SeedError('invalid_input', 'A field of the form comes twice.', { hint: 'Send each field once.' });
    }
    fields[name] = value;
  }
  return fields;
}
