import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { findGrant, findGrantByName } from '../substrate/identity/grants.ts';
import { listReceipts } from '../substrate/receipts/query.ts';
import { defineTool } from './define.ts';
import { GrantView, viewGrant } from './grant-view.ts';
import { ReceiptView } from './receipt-schema.ts';

export const keyShow = defineTool({
  name: 'key_show',
  title: 'Show one access key',
  description: 'Use when you want to know what a key may do, when it was last seen and what it did.',
  scope: 'key.list',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({ key: z.string().min(1).max(64) }),
  output: z.object({ grant: GrantView, receipts: z.array(ReceiptView) }),
  handler: async ({ key }, { daemon, substrate }) => {
    await daemon.settleUse();
    return substrate.read(async (db) => {
      const grant =
        (await findGrant(db, key)) ??
        (await findGrantByName(db, 'http', key)) ??
        (await findGrantByName(db, 'agent', key));
      if (grant === null) {
        throw new SeedError('not_found', `There is no key or agent "${key}".`, {
          hint: 'See `seed key list` and `seed agents list`.',
        });
      }
      const { receipts } = await listReceipts(db, { grant: grant.id }, { limit: 10 });
      return { grant: await viewGrant(db, grant), receipts: receipts as z.infer<typeof ReceiptView>[] };
    });
  },
});
