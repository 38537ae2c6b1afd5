/** What there is to tell of the seed's own life: its work, its mind, its log and its disk. */
import { toSeedError } from '../../../errors.ts';
import { alarmId, listAlarms } from '../../../substrate/coherence/alarms.ts';
import { checkDisk, growthPerDay } from '../../../substrate/health/disk.ts';
import { listSorted } from '../../../substrate/mind/sorted.ts';
import { auditLog } from '../../../substrate/receipts/audit.ts';
import type { Substrate } from '../../../substrate/substrate.ts';
import type { Fact, FactSource } from './facts.ts';
import { ceilingFacts, deadFacts, keyFacts, newestReceipts, requestFacts } from './facts.ts';

const DAY_MS = 86_400_000;
const LOOKED_AT = 50;
/** Failures of an organ in a row that are worth telling. */
const FAILURES = 3;
/** Receipts that a look at the log reads back: a third of a second's work. */
const AUDITED_RECEIPTS = 20_000;

/** Work that stalls or drifts, where coherence may say so: in the stages advise and govern. */
const stallFacts: FactSource = async ({ db }) => {
  const open = await listAlarms(db, { open: true, limit: LOOKED_AT });
  const told = open.filter(({ stage }) => stage === 'advise' || stage === 'govern');
  return told.map((alarm) => ({
    key: `stall ${alarmId(alarm)}`,
    event: 'stall',
    says: `${alarm.subsystem}: ${alarm.reason}`,
    todo: 'seed coherence',
  }));
};

/** Messages to the seed that were sorted as alerts, of the last day. */
const alertFacts: FactSource = async ({ db, now }) => {
  const sorted = await listSorted(db, LOOKED_AT);
  const alerts = sorted.filter(({ kind, at }) => kind === 'alert' && at > now - DAY_MS);
  return alerts.map(({ seq, sender, untold }) => ({
    key: `alert ${seq}`,
    event: 'alert',
    says: `${sender} sent an alert.`,
    // What has no room in the owner's inbox is on the list alone.
    todo: untold === null ? 'seed bus tail' : 'seed todo',
  }));
};

/** Organs that failed several times in a row, once a day each. */
const organFacts: FactSource = async ({ db, now }) => {
  const recent = await newestReceipts(db, 'failed', (time) => time > now - DAY_MS);
  const failing = recent.filter(
    ({ action, detail }) => action === 'mind.organ' && Number(detail['failures']) >= FAILURES,
  );
  const names = new Set(failing.flatMap(({ subject }) => (subject === null ? [] : [subject.id])));
  return [...names].map((name) => ({
    key: `mind ${name} ${day(now)}`,
    event: 'mind',
    says: `${name} of the mind has failed ${FAILURES} times in a row.`,
    todo: 'seed mind log',
  }));
};

/** Room on the disk, once a day while there is little. */
function diskFacts(substrate: Pick<Substrate, 'home' | 'size'>): FactSource {
  return async ({ db, now }) => {
    const { verdict, says, advice } = checkDisk(substrate.home, substrate.size(), await growthPerDay(db));
    return verdict === 'good' ? [] : [{ key: `disk ${verdict} ${day(now)}`, event: 'disk', says, todo: advice }];
  };
}

/** Everything that there may be to tell, in the order in which it is told. */
export function factSources(substrate: Substrate, log: LogWatch): readonly FactSource[] {
  const outer = [requestFacts, keyFacts, deadFacts, ceilingFacts];
  return [log.facts, diskFacts(substrate), alertFacts, ...outer, stallFacts, organFacts];
}

/** Whether the newest receipts are what was signed, as of the last look. */
export class LogWatch {
  readonly #substrate: Pick<Substrate, 'log' | 'read' | 'sources'>;
  #fact: Fact | null = null;

  constructor(substrate: Pick<Substrate, 'log' | 'read' | 'sources'>) {
    this.#substrate = substrate;
  }

  /** Reads them back; too much for each wake, so it is done now and then. */
  async look(signal: AbortSignal): Promise<void> {
    const substrate = this.#substrate;
    const state = await substrate.log();
    try {
      const read: Substrate['read'] = (fn) => substrate.read(fn);
      await auditLog(read, { state, from: Math.max(0, state.size - AUDITED_RECEIPTS), signal, onProgress: () => {} });
      this.#fact = null;
    } catch (thrown) {
      const { code, message } = toSeedError(thrown);
      if (code !== 'store_corrupt') throw thrown;
      this.#fact = {
        key: `log ${message} ${day(substrate.sources.now())}`,
        event: 'log',
        says: message,
        todo: 'seed doctor',
      };
    }
  }

  readonly facts: FactSource = () => Promise.resolve(this.#fact === null ? [] : [this.#fact]);
}

function day(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}
