/** What an examination finds. */

export interface Finding {
  readonly check: string;
  readonly verdict: 'good' | 'warning' | 'bad';
  /** What is so. */
  readonly says: string;
  /** What to do about it; empty when there is nothing to do. */
  readonly advice: string;
}

export function good(check: string, says: string): Finding {
  return { check, verdict: 'good', says, advice: '' };
}

export function warning(check: string, says: string, advice: string): Finding {
  return { check, verdict: 'warning', says, advice };
}

export function bad(check: string, says: string, advice: string): Finding {
  return { check, verdict: 'bad', says, advice };
}
