import type { Actor } from '../substrate/actor.ts';
import { recall } from '../substrate/memory/look.ts';
import { memoryId } from '../substrate/memory/model.ts';
import { snippet } from '../substrate/memory/search.ts';
import type { SubstrateReader } from '../substrate/substrate.ts';

const MEMORIES_MAX = 5;
const LINE_CHARS_MAX = 240;

/** What is remembered of a topic, as far as this actor may read it, one line each. */
export async function memoryLines(
  substrate: SubstrateReader,
  actor: Actor,
  topic: string | undefined,
): Promise<string[]> {
  if (topic === undefined) return [];
  const found = await substrate.read((db) => recall(db, actor, topic, MEMORIES_MAX));
  return found.map(({ memory }) => {
    const about = memory.subject === '' ? '' : ` (${memory.subject})`;
    const text = snippet(memory.text, topic, LINE_CHARS_MAX).text.replaceAll(/\s+/g, ' ');
    return `Memory ${memoryId(memory.nr)}${about}, ${memory.writer_name}: ${text}`;
  });
}
