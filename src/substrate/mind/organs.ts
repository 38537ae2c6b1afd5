/** Which of the seed's organs the owner has switched on or off, and which were given a grant. */
import type { ReadHandle, Row } from '../store/store.ts';
import type { Operation } from '../operation.ts';

/** What is kept of an organ; one that was never switched nor admitted has no row. */
export interface OrganRow extends Row {
  readonly name: string;
  readonly is_on: number;
  /** 1: it was given its grant. If it has none now, the owner removed it. */
  readonly admitted: number;
  readonly changed_at: number;
  /** The receipt of the change. */
  readonly receipt: number;
}

export async function listOrganRows(db: ReadHandle): Promise<OrganRow[]> {
  return db.all<OrganRow>('SELECT name, is_on, admitted, changed_at, receipt FROM substrate_mind_organs ORDER BY name');
}

/** Writes down that an organ is on or off, and whether it has been admitted. */
export async function writeOrgan(
  op: Operation,
  name: string,
  { isOn, admitted }: { isOn: boolean; admitted: boolean },
): Promise<void> {
  await op.run(
    `INSERT INTO substrate_mind_organs (name, is_on, admitted, changed_at, receipt) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET is_on = excluded.is_on, admitted = max(admitted, excluded.admitted),
       changed_at = excluded.changed_at, receipt = excluded.receipt`,
    name,
    isOn ? 1 : 0,
    admitted ? 1 : 0,
    op.now,
    op.seq,
  );
}
