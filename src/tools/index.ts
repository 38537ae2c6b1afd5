/** Every tool, in the order in which clients see them. A new tool is one file and one line here. */
import type { Tool } from './define.ts';
import { logAccept } from './log-accept.ts';
import { receiptCheckpoint } from './receipt-checkpoint.ts';
import { receiptErase } from './receipt-erase.ts';
import { receiptExport } from './receipt-export.ts';
import { receiptGet } from './receipt-get.ts';
import { receiptList } from './receipt-list.ts';
import { receiptNote } from './receipt-note.ts';
import { receiptProve } from './receipt-prove.ts';
import { seedDoctor } from './seed-doctor.ts';
import { seedStatus } from './seed-status.ts';
import { seedStop } from './seed-stop.ts';

export const TOOLS: readonly Tool[] = [
  receiptGet,
  seedStatus,
  receiptList,
  receiptNote,
  receiptProve,
  receiptCheckpoint,
  receiptExport,
  receiptErase,
  logAccept,
  seedDoctor,
  seedStop,
];
