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
