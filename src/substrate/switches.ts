/** What the owner turned on or off for the whole seed. */
import type { ReadHandle, Row, WriteHandle } from './store/store.ts';

/** `halted`: outsiders and spending are refused. `oauth`: discovery documents are served. */
export type Switch = 'halted' | 'oauth';

interface SwitchRow extends Row {
  readonly value: string;
}

/** Off until it was turned on. */
export async function readSwitch(db: ReadHandle, name: Switch): Promise<boolean> {
  const row = await db.get<SwitchRow>('SELECT value FROM substrate_switches WHERE name = ?', name);
  return row?.value === 'on';
}

export async function writeSwitch(tx: WriteHandle, name: Switch, on: boolean): Promise<void> {
  const value = on ? 'on' : 'off';
  await tx.run(
    'INSERT INTO substrate_switches (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    name,
    value,
  );
}
