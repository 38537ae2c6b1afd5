import * as z from 'zod';
import type { Finding } from '../substrate/health.ts';
import { examine, examineHome, worstOf } from '../substrate/health.ts';
import type { Daemon } from './daemon.ts';
import { defineTool } from './define.ts';
import { examineBus, examineMembrane, examineNotices } from './doctor-life.ts';
import { examineCoherence, examineMind } from './doctor-mind.ts';
import { examineModels } from './doctor-models.ts';
import { pulseOf } from './mind-view.ts';

const FindingView = z.object({
  check: z.string(),
  verdict: z.enum(['good', 'warning', 'bad']),
  says: z.string(),
  advice: z.string(),
});

export const seedDoctor = defineTool({
  name: 'seed_doctor',
  title: 'Examine the seed',
  description:
    'Use when something seems wrong, or to be sure that nothing is: the home, keys, log, models and all that lives in it.',
  scope: 'seed.doctor',
  surface: 'owner',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({ findings: z.array(FindingView), worst: z.enum(['good', 'warning', 'bad']) }),
  handler: async (_input, { substrate, daemon, egress, notifiers, mind, signal, progress }) => {
    const findings: Finding[] = [
      checkDaemon(daemon),
      ...(await examineHome({
        home: substrate.home,
        driver: substrate.driver,
        read: (fn) => substrate.read(fn),
        signal,
        onProgress: (done, total) => progress({ done, total, what: 'receipts' }),
      })),
      ...(await examineModels({ substrate, egress, signal })),
      await examine('membrane', () => examineMembrane(substrate)),
      await examine('bus', () => examineBus(substrate)),
      await examine('notices', () => examineNotices(substrate, notifiers)),
      ...(await examineMind(substrate, { pulse: await pulseOf(mind) })),
      ...(await examineCoherence(substrate)),
    ];
    return { findings, worst: worstOf(findings) };
  },
});

function checkDaemon({ role, pid, version, doors, droppedLogLines }: Daemon): Finding {
  if (role !== 'daemon')
    return {
      check: 'daemon',
      verdict: 'warning',
      says: 'No daemon serves this home.',
      advice: 'Start it with `seed up`.',
    };
  if (doors.problem !== null) {
    return {
      check: 'daemon',
      verdict: 'bad',
      says: doors.problem,
      advice: 'Mend that and start the seed again. Until then no helper can come in, and keys must not be used.',
    };
  }
  const dropped = droppedLogLines();
  if (dropped > 0) {
    return {
      check: 'daemon',
      verdict: 'warning',
      says: `${dropped} log lines could not be written.`,
      advice: 'Check the disk and the folder log.',
    };
  }
  return { check: 'daemon', verdict: 'good', says: `Version ${version} serves with pid ${pid}.`, advice: '' };
}
