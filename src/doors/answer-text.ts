/**
 * Answers to plain calls, as the text of their messages. Most of what stands about an answer is the same from
 * one to the next: it is written down once, and not with each.
 */
import type { CallToolResult, Implementation } from '@modelcontextprotocol/server';
import { SERVER_INFO_META_KEY } from '@modelcontextprotocol/server';
import type { Era } from './plain-call.ts';

const CHECKPOINT_META = 'sovereign-seed/checkpoint';
/** The receipt that a helper's read left; what changes something has it in its answer. */
const RECEIPT_META = 'sovereign-seed/receipt';

/** What a client is told besides a result; nothing with an error. */
export interface AboutAnswer {
  readonly checkpoint?: string;
  readonly receipt?: number | undefined;
}

/** What came of a call: a result without its `_meta`, and what goes into that. */
export interface ToolAnswer {
  readonly result: CallToolResult;
  readonly about: AboutAnswer;
}

/** The `_meta` of an answer. */
export function metaOf({ checkpoint, receipt }: AboutAnswer): Record<string, unknown> {
  return {
    ...(checkpoint === undefined ? {} : { [CHECKPOINT_META]: checkpoint }),
    ...(receipt === undefined ? {} : { [RECEIPT_META]: receipt }),
  };
}

/** The text of the message that answers a plain call. */
export type WriteAnswer = (id: string | number, era: Era, answer: ToolAnswer) => string;

/** Writes answers of a server of that name as the SDK would. */
export function answerWriter(info: Implementation): WriteAnswer {
  const infoText = `${JSON.stringify(SERVER_INFO_META_KEY)}:${asciiJson(info)}`;
  let known: { readonly checkpoint: string | null; readonly text: string } = { checkpoint: null, text: '' };

  const checkpointText = (checkpoint: string): string => {
    if (known.checkpoint !== checkpoint) {
      known = { checkpoint, text: `${JSON.stringify(CHECKPOINT_META)}:${asciiJson(checkpoint)}` };
    }
    return known.text;
  };
  return (id, era, { result, about: { checkpoint, receipt } }) => {
    const meta: string[] = [];
    if (checkpoint !== undefined) meta.push(checkpointText(checkpoint));
    if (receipt !== undefined) meta.push(`${JSON.stringify(RECEIPT_META)}:${receipt}`);
    if (era === 'modern') meta.push(infoText);
    // What revision 2026-07-28 has in every result (MCP, "Result"). There is something before: the content.
    const complete = era === 'modern' ? ',"resultType":"complete"' : '';
    const about = meta.length === 0 ? '' : `,"_meta":{${meta.join(',')}}`;
    const body = JSON.stringify(result).slice(0, -1);
    return `{"result":${body}${complete}${about}},"jsonrpc":"2.0","id":${JSON.stringify(id)}}`;
  };
}

/**
 * JSON in ASCII alone: each character may stand there escaped (RFC 8259, section 7). A text in which one
 * character is beyond Latin-1 takes two bytes for each, and longer to write, from end to end.
 */
function asciiJson(value: unknown): string {
  const escaped = JSON.stringify(value).replaceAll(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  // What V8 replaces in a text of two bytes a character has two still, whatever is left in it.
  return Buffer.from(escaped, 'latin1').toString('latin1');
}
