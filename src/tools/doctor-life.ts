/** What the doctor finds of those who come in, of what they send each other, and of how the owner is told. */
import { toSeedError } from '../errors.ts';
import type { Notifiers } from '../membrane/notify.ts';
import { countDead } from '../substrate/bus/dead.ts';
import type { Finding } from '../substrate/health/finding.ts';
import { bad, good, warning } from '../substrate/health/finding.ts';
import { isInForce, listGrants } from '../substrate/identity/grants.ts';
import { listPendingRequests } from '../substrate/identity/requests.ts';
import { listTold } from '../substrate/notices/told.ts';
import { listExpiring } from '../substrate/owed.ts';
import { readPolicy } from '../substrate/policy/policy.ts';
import type { SubstrateReader } from '../substrate/substrate.ts';
import { readSwitch } from '../substrate/switches.ts';
import { counted } from './text.ts';

const SOON_MS: number = 7 * 86_400_000;
const LISTED_MAX = 20;

export async function examineMembrane(substrate: SubstrateReader): Promise<Finding> {
  const now = substrate.sources.now();
  return substrate.read(async (db) => {
    if (await readSwitch(db, 'halted')) {
      return warning('membrane', 'Halted: nobody but you comes in, and nothing goes out.', '`seed resume` ends it.');
    }
    const keys = await listGrants(db, 'http');
    const live = keys.filter((grant) => isInForce(grant, now)).length;
    const dead = keys.length - live;
    const says = `${counted(live, 'key')} in force${dead === 0 ? '' : `, ${dead} expired`}.`;
    const [soon] = await listExpiring(db, { now, until: now + SOON_MS, limit: 1 });
    const waiting = (await listPendingRequests(db, now)).length;
    if (waiting > 0)
      return warning('membrane', `${says} ${counted(waiting, 'request')} for you to decide.`, '`seed requests list`');
    if (soon !== undefined) return warning('membrane', `${says} That of ${soon.name} expires soon.`, '`seed key list`');
    return good('membrane', says);
  });
}

export async function examineBus(substrate: SubstrateReader): Promise<Finding> {
  const dead = await substrate.read(countDead);
  if (dead === 0) return good('bus', 'No message is left undelivered.');
  return warning('bus', `${counted(dead, 'message')} could not be delivered.`, 'Look at them: `seed bus dead list`.');
}

/** Whether what policy wants to be told can be told. */
export async function examineNotices(substrate: SubstrateReader, notifiers: Notifiers): Promise<Finding> {
  const { notices } = await substrate.read(readPolicy);
  if (notices === null) {
    return warning(
      'notices',
      'What you want to be told waits for your word.',
      '`seed policy history`, then `seed policy ack`.',
    );
  }
  let names: readonly string[];
  try {
    names = notifiers.names();
  } catch (thrown) {
    const { message, hint } = toSeedError(thrown);
    return bad('notices', message, hint);
  }
  if (notices.length === 0)
    return good('notices', 'The policy wants nothing told; `seed today` and `seed todo` show it.');
  const unknown = notices.find(({ notifier }) => !names.includes(notifier));
  if (unknown !== undefined) {
    const { notifier } = unknown;
    return bad(
      'notices',
      `The policy names the notifier ${notifier}, and there is none.`,
      `\`seed notify add ${notifier} -- COMMAND\``,
    );
  }
  const told = await substrate.read((db) => listTold(db, LISTED_MAX));
  const [last] = told;
  if (last !== undefined && last.state !== 'told') {
    return warning(
      'notices',
      `${last.notifier} failed the last time.`,
      `Try it: \`seed notify test ${last.notifier}\`.`,
    );
  }
  return good('notices', `${counted(new Set(notices.map(({ event }) => event)).size, 'kind')} of event told to you.`);
}
