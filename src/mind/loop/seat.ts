/** An organ with its place in the loop: what it may do by itself, and whether it begins switched on. */
import { SEED } from '../../substrate/actor.ts';
import type { Actor } from '../../substrate/actor.ts';
import type { Scope } from '../../substrate/identity/scopes.ts';
import { admitService } from '../../substrate/identity/service.ts';
import { writeOrgan } from '../../substrate/mind/organs.ts';
import type { Operation, Substrate } from '../../substrate/substrate.ts';
import type { Organ } from '../organ.ts';

export interface SeatTraits {
  /** Whether it is on until the owner says otherwise. */
  readonly isOn: boolean;
  /** What its grant allows; none for one that only acts as the seed itself. */
  readonly scopes: readonly Scope[];
  /** It takes on work of subsystems, which coherence may brake. */
  readonly takesWorkOn: boolean;
}

export interface Seat extends SeatTraits {
  readonly organ: Organ;
}

/** An organ's name with its traits, as switching it on needs them. */
export type SeatNamed = SeatTraits & { readonly name: string };

/** Switches an organ on or off, within an operation; on gives it a grant where it needs one. */
async function seat(
  op: Operation,
  { name, scopes }: SeatNamed,
  { isOn, substrate }: { isOn: boolean; substrate: Pick<Substrate, 'sources'> },
): Promise<void> {
  const needsGrant = isOn && scopes.length > 0;
  op.receipt({ subject: { type: 'organ', id: name }, detail: { on: isOn ? 1 : 0 } });
  if (needsGrant) {
    const { grant } = await admitService(op, { organ: name, scopes, sources: substrate.sources });
    op.receipt({ detail: { on: 1, grant: grant ?? '', scopes: [...scopes] } });
  }
  await writeOrgan(op, name, { isOn, admitted: needsGrant });
}

/** Gives an organ that is on from the start its grant, before it first does something. */
export async function admit(substrate: Substrate, named: SeatNamed): Promise<void> {
  await substrate.operate({ action: 'mind.admit', actor: SEED }, (op) => seat(op, named, { isOn: true, substrate }));
}

/** The owner's switch. Resolves to the receipt's number. */
export async function switchOrgan(
  substrate: Substrate,
  actor: Actor,
  { named, isOn }: { named: SeatNamed; isOn: boolean },
): Promise<number> {
  const action = isOn ? 'mind.on' : 'mind.off';
  const { seq } = await substrate.operate({ action, actor }, (op) => seat(op, named, { isOn, substrate }));
  return seq;
}
