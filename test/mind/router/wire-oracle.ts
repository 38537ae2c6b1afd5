/**
 * A second opinion on what a request carries: every piece of a transcript is in the bytes, or it is named
 * among the losses. Written without the project's own translation.
 */
import type { Loss } from '../../../src/mind/router/provider.ts';
import type { ProviderName } from '../../../src/substrate/policy/model.ts';
import type { Message, Part } from '../../../src/substrate/transcript.ts';

/** Every string of a JSON value, and the arguments of every call in one form. */
interface Found {
  readonly text: string;
  readonly calls: ReadonlySet<string>;
}

function find(body: string): Found {
  const strings: string[] = [];
  const calls = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value === 'string') strings.push(value);
    else if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, each] of Object.entries(value)) {
        if (key === 'arguments' || key === 'args' || key === 'input') {
          calls.add(JSON.stringify(typeof each === 'string' ? JSON.parse(each) : each));
        } else visit(each);
      }
    }
  };
  visit(JSON.parse(body));
  return { text: strings.join('\n'), calls };
}

/** Where opaque parts belong, by provider. */
const APIS: Readonly<Record<ProviderName, string>> = {
  anthropic: 'messages',
  gemini: 'generateContent.v1beta',
  nvidia: 'chat.completions',
  'local-ollama': 'chat',
};

export interface Sent {
  readonly provider: ProviderName;
  readonly model: string;
  readonly messages: readonly Message[];
  readonly body: string;
  readonly losses: readonly Loss[];
}

/** What is neither in the bytes nor among the losses. */
export function lostSilently({ provider, model, messages, body, losses }: Sent): string[] {
  const found = find(body);
  const isNamed = (index: number, general: RegExp): boolean =>
    losses.some(({ message, what }) => message === index || (message === null && general.test(what)));
  const hasText = (text: string): boolean => text.trim() === '' || found.text.includes(text);
  const missing = (part: Part, index: number): string[] => {
    if (part.type === 'text') return hasText(part.text) || isNamed(index, /^$/) ? [] : ['text'];
    if (part.type === 'image') return found.text.includes(part.data) || isNamed(index, /^$/) ? [] : ['an image'];
    if (part.type === 'tool_result') return part.content.flatMap((inner) => missing(inner, index));
    if (part.type === 'tool_call') {
      const isThere = found.calls.has(JSON.stringify(JSON.parse(part.arguments)));
      return isThere || isNamed(index, /arguments/) ? [] : ['a tool call'];
    }
    const isOwn = part.provider === provider && part.model === model && part.api === APIS[provider];
    const blob = /"([A-Za-z0-9+/=]{24,})"/.exec(part.data)?.[1];
    const isCarried = isOwn && blob !== undefined && body.includes(blob);
    return isCarried || isNamed(index, /^opaque reasoning/) ? [] : ['reasoning'];
  };
  return messages.flatMap(({ parts }, index) =>
    parts.flatMap((part) => missing(part, index).map((what) => `message ${index}: ${what}`)),
  );
}

/** The same transcript with each text, image and call made unlike every other, so that none is found by another's. */
export function marked(messages: readonly Message[]): Message[] {
  let count = 0;
  const mark = <P extends Part>(part: P): P => {
    count += 1;
    if (part.type === 'text') return part.text.trim() === '' ? part : { ...part, text: `${part.text}⟦${count}⟧` };
    if (part.type === 'image') return { ...part, data: Buffer.from(`image ${count}.`).toString('base64') };
    if (part.type === 'tool_result') return { ...part, content: part.content.map(mark) };
    if (part.type !== 'tool_call') return part;
    const inner = part.arguments.trim().slice(1, -1).trim();
    return { ...part, arguments: `{"mark":${count}${inner === '' ? '' : `,${inner}`}}` };
  };
  return messages.map(({ role, parts }) => ({ role, parts: parts.map(mark) }));
}
