/** What the owner set for the whole seed: switches, and the address it is reached at. */
import type { Reading, ReadHandle, Row, WriteHandle } from './store/store.ts';

/** `halted`: outsiders and spending are refused. `oauth`: discovery documents are served. `mind_paused`: no organ runs. */
export type Switch = 'halted' | 'oauth' | 'mind_paused';

interface SwitchRow extends Row {
  readonly value: string;
}

/** Off until it was turned on. */
export async function readSwitch(db: ReadHandle, name: Switch): Promise<boolean> {
  const row = await db.get<SwitchRow>('SELECT value FROM substrate_switches WHERE name = ?', name);
  return row?.value === 'on';
}

/** Whether the owner has halted the seed. */
export const HALTED: Reading<boolean> = {
  tables: ['substrate_switches'],
  read: (db) => readSwitch(db, 'halted'),
};

export function writeSwitch(tx: WriteHandle, name: Switch, on: boolean): Promise<void> {
  return write(tx, name, on ? 'on' : 'off');
}

const PUBLIC_URL = 'public_url';

/** The https address behind a proxy that the owner pinned, an origin; null while loopback is all. */
export async function readPublicUrl(db: ReadHandle): Promise<URL | null> {
  const row = await db.get<SwitchRow>('SELECT value FROM substrate_switches WHERE name = ?', PUBLIC_URL);
  return URL.parse(row?.value ?? 'off');
}

/** Pins the address behind a proxy, or with null takes it back; counts from the next start. */
export function writePublicUrl(tx: WriteHandle, url: URL | null): Promise<void> {
  return write(tx, PUBLIC_URL, url?.origin ?? 'off');
}

/** An https origin and nothing more: no path, no query, no name or password. Null for anything else. */
export function parsePublicUrl(text: string): URL | null {
  const url = URL.parse(text);
  return url?.protocol === 'https:' && url.href === `${url.origin}/` ? url : null;
}

async function write(tx: WriteHandle, name: string, value: string): Promise<void> {
  await tx.run(
    'INSERT INTO substrate_switches (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    name,
    value,
  );
}
