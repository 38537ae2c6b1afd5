/** How an exchange over HTTP is let in. */
import type { ServerResponse } from 'node:http';
import type { Admitted, Membrane } from '../membrane/membrane.ts';

/**
 * Registers an exchange under the grant that its key names, then looks at the grant: a removal in between is seen
 * by one of the two, and cuts the exchange off. Resolves to null where the client has gone.
 *
 * @throws SeedError for a stranger, who holds nothing open
 */
export async function admitExchange(
  membrane: Membrane,
  key: string,
  response: ServerResponse,
): Promise<Admitted | null> {
  const shown = membrane.openKey(key);
  const own = (): void => {
    response.destroy();
  };
  const release = membrane.work.register(shown.grant, own);
  response.once('close', release);
  try {
    const admitted = await membrane.admit(shown);
    if (!response.destroyed) return { ...admitted, own };
  } catch (thrown) {
    release();
    throw thrown;
  }
  release();
  return null;
}

/** Far more than a call may take; a timer counts no further than some weeks. */
const CALL_MS_MAX = 24 * 60 * 60 * 1_000;

/** What is open when its key expires is cut off, as when the key is removed. */
export function endWithKey(response: ServerResponse, { endsAt }: Pick<Admitted, 'endsAt'>, now: number): void {
  const leftMs = endsAt === null ? CALL_MS_MAX : endsAt - now;
  if (leftMs >= CALL_MS_MAX) return;
  const timer = setTimeout(() => response.destroy(), Math.max(0, leftMs));
  response.once('close', () => clearTimeout(timer));
}
