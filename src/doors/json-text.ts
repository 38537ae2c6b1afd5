/** What a JSON text holds, seen without parsing it: parsing alone could take seconds of one that was made for it. */

/** How many arrays and objects may stand inside one another. */
export const JSON_DEPTH_MAX = 64;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

export interface JsonLimits {
  /** How many arrays and objects may stand inside one another. */
  readonly depthMax: number;
  /** How many values there may be, the lists and objects among them. */
  readonly valuesMax: number;
}

/**
 * Whether a text cannot go beyond a limit, whatever in it is inside strings. Nearly every message is small,
 * and to look for a character is far quicker than to look at each.
 */
function isSurelyWithin(text: string, { depthMax, valuesMax }: JsonLimits): boolean {
  // Each value but the first has a character before it.
  if (text.length >= valuesMax) return false;
  let opened = 0;
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (++opened > depthMax) return false;
    }
  }
  return true;
}

/** Which limit a text goes beyond, if any; looked at no further than that. */
export function limitExceeded(text: string, jsonLimits: JsonLimits): keyof JsonLimits | null {
  if (isSurelyWithin(text, jsonLimits)) return null;
  const { depthMax, valuesMax } = jsonLimits;
  let depth = 0;
  // Each list and each object begins one value more, and so does each comma.
  let values = 1;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (inString) {
      if (unit === BACKSLASH) i++;
      else if (unit === QUOTE) inString = false;
    } else if (unit === QUOTE) inString = true;
    else if (unit === COMMA || unit === OPEN_BRACE || unit === OPEN_BRACKET) {
      if (++values > valuesMax) return 'valuesMax';
      if (unit !== COMMA && ++depth > depthMax) return 'depthMax';
    } else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth--;
  }
  return null;
}

const ID = /"id"\s*:\s*("(?:[^"\\]|\\.){0,256}"|-?\d{1,16})\s*[,}]/y;

/** The member `id` of the object that a text is, where it is a short text or a whole number; else null. */
export function idIn(text: string): string | number | null {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (inString) {
      if (unit === BACKSLASH) i++;
      else if (unit === QUOTE) inString = false;
    } else if (unit === QUOTE) {
      ID.lastIndex = i;
      const found = depth === 1 ? ID.exec(text)?.[1] : undefined;
      if (found !== undefined) return parseId(found);
      inString = true;
    } else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) depth++;
    else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth--;
  }
  return null;
}

function parseId(text: string): string | number | null {
  try {
    return JSON.parse(text) as string | number;
  } catch {
    // An escape that is none: then the whole is no JSON either.
    return null;
  }
}
