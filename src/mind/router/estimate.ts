/**
 * What a request may cost at most, before it is made.
 *
 * No token is shorter than a byte, so the bytes of the request bound the tokens of its text; a
 * provider's overhead covers what it adds around them. An image counts with the provider's documented
 * maximum instead of the bytes of its base64.
 */
import { inputBound } from '../../substrate/ledger/money.ts';
import type { Price } from '../../substrate/policy/model.ts';
import type { ModelRequest, Provider } from './provider.ts';
import { ProviderFault } from './provider.ts';
import { carriedImages } from './transcript/prepare.ts';

export interface EstimateOptions {
  readonly provider: Provider;
  readonly request: ModelRequest;
  /** The bytes that the provider would send for the request. */
  readonly body: string;
  readonly price: Price;
}

/**
 * Whole micro-dollars that the input costs at most: `ceil(highest input price × tokens)`.
 * @throws ProviderFault `cannot_carry` where nothing bounds it
 */
export function estimateInput({ provider, request, body, price }: EstimateOptions): number {
  return inputBound(price, inputTokens({ provider, request, body, isFree: isFree(price) }));
}

/** What costs nothing is bounded whatever an image counts. */
function isFree({ input, cachedInput, cacheWrite }: Price): boolean {
  return input === 0 && cachedInput === 0 && cacheWrite === 0;
}

/** Tokens that the input has at most. */
function inputTokens({
  provider,
  request,
  body,
  isFree: free,
}: Omit<EstimateOptions, 'price'> & { isFree: boolean }): number {
  const { perRequest, perMessage, perTool, perImage } = provider.overhead;
  const images = carriedImages(request.messages);
  if (images.length > 0 && perImage === null && !free) {
    throw new ProviderFault('cannot_carry', `Nothing bounds what an image counts with ${provider.name}.`, {
      mayBeBilled: false,
    });
  }
  const base64 = images.reduce((sum, { data }) => sum + data.length, 0);
  const parts = request.messages.reduce((sum, message) => sum + 1 + message.parts.length, 0);
  return (
    Buffer.byteLength(body) -
    base64 +
    perRequest +
    perMessage * parts +
    perTool * request.tools.length +
    (perImage ?? 0) * images.length
  );
}
