/** Answers that are asked for with every call and change once a day, or with the policy. */

/** Far more than a policy asks about at once. */
const ANSWERS_MAX = 1_024;

/** A pure function with its answers kept, all of them dropped when there are too many. */
export function remember<K extends readonly string[], T>(find: (...key: K) => T): (...key: K) => T {
  const known = new Map<string, T>();
  return (...key) => {
    const text = key.join('\0');
    let answer = known.get(text);
    if (answer === undefined) {
      if (known.size >= ANSWERS_MAX) known.clear();
      answer = find(...key);
      known.set(text, answer);
    }
    return answer;
  };
}
