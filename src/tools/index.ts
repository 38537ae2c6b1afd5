/** Every tool, in the order in which clients see them. A new tool is one file and one line here. */
import { agentRename } from './agent-rename.ts';
import { agentWaiting } from './agent-waiting.ts';
import { busAck } from './bus-ack.ts';
import { busDead } from './bus-dead.ts';
import { busDeadShow } from './bus-dead-show.ts';
import { busDrop } from './bus-drop.ts';
import { busFollow } from './bus-follow.ts';
import { busHistory } from './bus-history.ts';
import { busInbox } from './bus-inbox.ts';
import { busPeers } from './bus-peers.ts';
import { busReceive } from './bus-receive.ts';
import { busRetry } from './bus-retry.ts';
import { busSend } from './bus-send.ts';
import { coherenceLabel } from './coherence-label.ts';
import { coherenceRead } from './coherence-read.ts';
import { coherenceDemote, coherencePromote } from './coherence-stage.ts';
import { configSet } from './config-set.ts';
import { credentialList } from './credential-list.ts';
import { credentialRemove } from './credential-remove.ts';
import { credentialSet } from './credential-set.ts';
import type { Tool } from './define.ts';
import { gatewayList } from './gateway-list.ts';
import { gatewayMap } from './gateway-map.ts';
import { gatewayUnmap } from './gateway-unmap.ts';
import { handoffAccept } from './handoff-accept.ts';
import { handoffOffer } from './handoff-offer.ts';
import { handoffShow } from './handoff-show.ts';
import { handoffStatus } from './handoff-status.ts';
import { handoffWithdraw } from './handoff-withdraw.ts';
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
import { memoryErase } from './memory-erase.ts';
import { memoryExport } from './memory-export.ts';
import { memoryForget } from './memory-forget.ts';
import { memoryGet } from './memory-get.ts';
import { memoryImport } from './memory-import.ts';
import { memoryList } from './memory-list.ts';
import { memoryRestore } from './memory-restore.ts';
import { memorySearch } from './memory-search.ts';
import { memoryWrite } from './memory-write.ts';
import { notifierList } from './notifier-list.ts';
import { notifierRemove } from './notifier-remove.ts';
import { notifierAdd } from './notifier-add.ts';
import { notifierTest } from './notifier-test.ts';
import { mindLog } from './mind-log.ts';
import { mindOnce } from './mind-once.ts';
import { mindPause, mindResume } from './mind-pause.ts';
import { mindStatus } from './mind-status.ts';
import { mindSwitch } from './mind-switch.ts';
import { mindWake } from './mind-wake.ts';
import { policyAck } from './policy-ack.ts';
import { policyApply } from './policy-apply.ts';
import { policyCheck } from './policy-check.ts';
import { policyExplain } from './policy-explain.ts';
import { policyHistory } from './policy-history.ts';
import { policyRollback } from './policy-rollback.ts';
import { policyShow } from './policy-show.ts';
import { probeAdd } from './probe-add.ts';
import { probeList } from './probe-list.ts';
import { probeRemove } from './probe-remove.ts';
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
import { routeResolve } from './route-resolve.ts';
import { routeResult } from './route-result.ts';
import { routeComplete } from './route-complete.ts';
import { routeCancel } from './route-cancel.ts';
import { routeEnqueue } from './route-enqueue.ts';
import { routeTrace } from './route-trace.ts';
import { routeDrain } from './route-drain.ts';
import { routeUsage } from './route-usage.ts';
import { scheduleAdd } from './schedule-add.ts';
import { scheduleList } from './schedule-list.ts';
import { scheduleNext } from './schedule-next.ts';
import { scheduleRemove } from './schedule-remove.ts';
import { seedDoctor } from './seed-doctor.ts';
import { seedHalt, seedResume } from './seed-halt.ts';
import { seedStart } from './seed-start.ts';
import { seedStatus } from './seed-status.ts';
import { seedStop } from './seed-stop.ts';
import { seedTodo } from './seed-todo.ts';
import { seedToday } from './seed-today.ts';
import { seedWatch } from './seed-watch.ts';
import { sessionAppend } from './session-append.ts';
import { sessionCheckpoint } from './session-checkpoint.ts';
import { sessionClose } from './session-close.ts';
import { sessionGet } from './session-get.ts';
import { sessionList } from './session-list.ts';
import { sessionOpen } from './session-open.ts';
import { sessionStep } from './session-step.ts';
import { sessionExport } from './session-export.ts';
import { sessionImport } from './session-import.ts';
import { targetAdd } from './target-add.ts';
import { targetDetect } from './target-detect.ts';
import { targetList } from './target-list.ts';
import { targetTest } from './target-test.ts';
import { taskList } from './task-list.ts';
import { taskUpdate } from './task-update.ts';
import { workerSet } from './worker-set.ts';
import { workerShow } from './worker-show.ts';

export const TOOLS: readonly Tool[] = [
  // daily: what an agent sees by default
  seedStart,
  sessionCheckpoint,
  handoffOffer,
  handoffAccept,
  receiptGet,
  membraneRequest,
  busSend,
  busReceive,
  busAck,
  taskList,
  taskUpdate,
  coherenceRead,
  memorySearch,
  memoryWrite,
  memoryForget,
  routeComplete,
  routeResult,
  routeUsage,
  // full
  handoffStatus,
  handoffWithdraw,
  sessionOpen,
  sessionGet,
  sessionAppend,
  sessionStep,
  sessionClose,
  busHistory,
  busPeers,
  busFollow,
  memoryGet,
  seedStatus,
  mindStatus,
  mindWake,
  receiptList,
  receiptNote,
  receiptProve,
  receiptVerify,
  membraneWhoami,
  membraneList,
  membraneRegister,
  membraneRevoke,
  routeTrace,
  routeEnqueue,
  routeResolve,
  routeCancel,
  // the owner's door alone
  sessionList,
  handoffShow,
  routeDrain,
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
  agentWaiting,
  sessionImport,
  sessionExport,
  busInbox,
  busDead,
  busDeadShow,
  busRetry,
  busDrop,
  memoryList,
  memoryRestore,
  memoryErase,
  memoryExport,
  memoryImport,
  configSet,
  policyShow,
  policyCheck,
  policyApply,
  policyHistory,
  policyRollback,
  policyAck,
  policyExplain,
  gatewayMap,
  gatewayUnmap,
  gatewayList,
  coherenceLabel,
  coherencePromote,
  coherenceDemote,
  credentialSet,
  credentialList,
  credentialRemove,
  targetAdd,
  targetList,
  targetTest,
  targetDetect,
  notifierAdd,
  notifierList,
  notifierRemove,
  notifierTest,
  scheduleList,
  scheduleNext,
  scheduleAdd,
  scheduleRemove,
  probeList,
  probeAdd,
  probeRemove,
  workerShow,
  workerSet,
  mindLog,
  mindPause,
  mindResume,
  mindOnce,
  mindSwitch,
  seedToday,
  seedWatch,
  seedTodo,
  seedDoctor,
  seedHalt,
  seedResume,
  seedStop,
];
