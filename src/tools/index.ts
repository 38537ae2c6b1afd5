/** Every tool, in the order in which clients see them. A new tool is one file and one line here. */
import { agentRename } from './agent-rename.ts';
import { configSet } from './config-set.ts';
import type { Tool } from './define.ts';
import { keyIssue } from './key-issue.ts';
import { keyList } from './key-list.ts';
import { keyRevoke } from './key-revoke.ts';
import { keyShow } from './key-show.ts';
import { logAccept } from './log-accept.ts';
import { membraneList } from './membrane-list.ts';
import { membraneRegister } from './membrane-register.ts';
import { membraneRequest } from './membrane-request.ts';
import { membraneRevoke } from './membrane-revoke.ts';
import { membraneWhoami } from './membrane-whoami.ts';
import { policyAck } from './policy-ack.ts';
import { policyApply } from './policy-apply.ts';
import { policyCheck } from './policy-check.ts';
import { policyExplain } from './policy-explain.ts';
import { policyHistory } from './policy-history.ts';
import { policyRollback } from './policy-rollback.ts';
import { policyShow } from './policy-show.ts';
import { receiptCheckpoint } from './receipt-checkpoint.ts';
import { receiptErase } from './receipt-erase.ts';
import { receiptExport } from './receipt-export.ts';
import { receiptGet } from './receipt-get.ts';
import { receiptList } from './receipt-list.ts';
import { receiptNote } from './receipt-note.ts';
import { receiptProve } from './receipt-prove.ts';
import { receiptVerify } from './receipt-verify.ts';
import { requestApprove, requestDeny } from './request-decide.ts';
import { requestList } from './request-list.ts';
import { requestShow } from './request-show.ts';
import { seedDoctor } from './seed-doctor.ts';
import { seedHalt, seedResume } from './seed-halt.ts';
import { seedStart } from './seed-start.ts';
import { seedStatus } from './seed-status.ts';
import { seedStop } from './seed-stop.ts';

export const TOOLS: readonly Tool[] = [
  // daily: what an agent sees by default
  seedStart,
  receiptGet,
  membraneRequest,
  // full
  seedStatus,
  receiptList,
  receiptNote,
  receiptProve,
  receiptVerify,
  membraneWhoami,
  membraneList,
  membraneRegister,
  membraneRevoke,
  // the owner's door alone
  receiptCheckpoint,
  receiptExport,
  receiptErase,
  logAccept,
  keyIssue,
  keyList,
  keyShow,
  keyRevoke,
  requestList,
  requestShow,
  requestApprove,
  requestDeny,
  agentRename,
  configSet,
  policyShow,
  policyCheck,
  policyApply,
  policyHistory,
  policyRollback,
  policyAck,
  policyExplain,
  seedDoctor,
  seedHalt,
  seedResume,
  seedStop,
];
