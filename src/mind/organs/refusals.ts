/** Refusals that say nothing of what was asked, whichever organ asked for it: another run may find them gone. */
import type { ErrorCode } from '../../errors.ts';

export const OF_THE_MOMENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'busy',
  'halted',
  'home_locked',
  'key_expired',
  'key_revoked',
  'stopping',
]);
