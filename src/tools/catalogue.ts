/**
 * Every tool by its name, in the order in which clients see them. A new tool is one file and one line here.
 *
 * Each is loaded when it is first wanted: their schemas are a fifth of what a start would take, and a command that
 * runs one tool needs none of the others.
 */
import type { Tool } from './define.ts';

const FILES: Readonly<Record<string, () => Promise<Tool>>> = {
  // daily: what an agent sees by default
  seed_start: async () => (await import('./seed-start.ts')).seedStart,
  session_checkpoint: async () => (await import('./session-checkpoint.ts')).sessionCheckpoint,
  handoff_offer: async () => (await import('./handoff-offer.ts')).handoffOffer,
  handoff_accept: async () => (await import('./handoff-accept.ts')).handoffAccept,
  receipt_get: async () => (await import('./receipt-get.ts')).receiptGet,
  membrane_request: async () => (await import('./membrane-request.ts')).membraneRequest,
  bus_send: async () => (await import('./bus-send.ts')).busSend,
  bus_receive: async () => (await import('./bus-receive.ts')).busReceive,
  bus_ack: async () => (await import('./bus-ack.ts')).busAck,
  task_list: async () => (await import('./task-list.ts')).taskList,
  task_update: async () => (await import('./task-update.ts')).taskUpdate,
  coherence_read: async () => (await import('./coherence-read.ts')).coherenceRead,
  memory_search: async () => (await import('./memory-search.ts')).memorySearch,
  memory_write: async () => (await import('./memory-write.ts')).memoryWrite,
  memory_forget: async () => (await import('./memory-forget.ts')).memoryForget,
  route_complete: async () => (await import('./route-complete.ts')).routeComplete,
  route_result: async () => (await import('./route-result.ts')).routeResult,
  route_usage: async () => (await import('./route-usage.ts')).routeUsage,
  // full
  handoff_status: async () => (await import('./handoff-status.ts')).handoffStatus,
  handoff_withdraw: async () => (await import('./handoff-withdraw.ts')).handoffWithdraw,
  session_open: async () => (await import('./session-open.ts')).sessionOpen,
  session_get: async () => (await import('./session-get.ts')).sessionGet,
  session_append: async () => (await import('./session-append.ts')).sessionAppend,
  session_step: async () => (await import('./session-step.ts')).sessionStep,
  session_close: async () => (await import('./session-close.ts')).sessionClose,
  bus_history: async () => (await import('./bus-history.ts')).busHistory,
  bus_peers: async () => (await import('./bus-peers.ts')).busPeers,
  bus_follow: async () => (await import('./bus-follow.ts')).busFollow,
  memory_get: async () => (await import('./memory-get.ts')).memoryGet,
  seed_status: async () => (await import('./seed-status.ts')).seedStatus,
  mind_status: async () => (await import('./mind-status.ts')).mindStatus,
  mind_wake: async () => (await import('./mind-wake.ts')).mindWake,
  receipt_list: async () => (await import('./receipt-list.ts')).receiptList,
  receipt_note: async () => (await import('./receipt-note.ts')).receiptNote,
  receipt_prove: async () => (await import('./receipt-prove.ts')).receiptProve,
  receipt_verify: async () => (await import('./receipt-verify.ts')).receiptVerify,
  membrane_whoami: async () => (await import('./membrane-whoami.ts')).membraneWhoami,
  membrane_list: async () => (await import('./membrane-list.ts')).membraneList,
  membrane_register: async () => (await import('./membrane-register.ts')).membraneRegister,
  membrane_revoke: async () => (await import('./membrane-revoke.ts')).membraneRevoke,
  route_trace: async () => (await import('./route-trace.ts')).routeTrace,
  route_enqueue: async () => (await import('./route-enqueue.ts')).routeEnqueue,
  route_resolve: async () => (await import('./route-resolve.ts')).routeResolve,
  route_cancel: async () => (await import('./route-cancel.ts')).routeCancel,
  // the owner's door alone
  session_list: async () => (await import('./session-list.ts')).sessionList,
  handoff_show: async () => (await import('./handoff-show.ts')).handoffShow,
  route_drain: async () => (await import('./route-drain.ts')).routeDrain,
  receipt_checkpoint: async () => (await import('./receipt-checkpoint.ts')).receiptCheckpoint,
  receipt_export: async () => (await import('./receipt-export.ts')).receiptExport,
  receipt_erase: async () => (await import('./receipt-erase.ts')).receiptErase,
  log_accept: async () => (await import('./log-accept.ts')).logAccept,
  key_issue: async () => (await import('./key-issue.ts')).keyIssue,
  key_list: async () => (await import('./key-list.ts')).keyList,
  key_show: async () => (await import('./key-show.ts')).keyShow,
  key_revoke: async () => (await import('./key-revoke.ts')).keyRevoke,
  request_list: async () => (await import('./request-list.ts')).requestList,
  request_show: async () => (await import('./request-show.ts')).requestShow,
  request_approve: async () => (await import('./request-decide.ts')).requestApprove,
  request_deny: async () => (await import('./request-decide.ts')).requestDeny,
  agent_rename: async () => (await import('./agent-rename.ts')).agentRename,
  agent_waiting: async () => (await import('./agent-waiting.ts')).agentWaiting,
  session_import: async () => (await import('./session-import.ts')).sessionImport,
  session_export: async () => (await import('./session-export.ts')).sessionExport,
  bus_inbox: async () => (await import('./bus-inbox.ts')).busInbox,
  bus_dead: async () => (await import('./bus-dead.ts')).busDead,
  bus_dead_show: async () => (await import('./bus-dead-show.ts')).busDeadShow,
  bus_retry: async () => (await import('./bus-retry.ts')).busRetry,
  bus_drop: async () => (await import('./bus-drop.ts')).busDrop,
  memory_list: async () => (await import('./memory-list.ts')).memoryList,
  memory_restore: async () => (await import('./memory-restore.ts')).memoryRestore,
  memory_erase: async () => (await import('./memory-erase.ts')).memoryErase,
  memory_export: async () => (await import('./memory-export.ts')).memoryExport,
  memory_import: async () => (await import('./memory-import.ts')).memoryImport,
  config_set: async () => (await import('./config-set.ts')).configSet,
  policy_show: async () => (await import('./policy-show.ts')).policyShow,
  policy_check: async () => (await import('./policy-check.ts')).policyCheck,
  policy_apply: async () => (await import('./policy-apply.ts')).policyApply,
  policy_history: async () => (await import('./policy-history.ts')).policyHistory,
  policy_rollback: async () => (await import('./policy-rollback.ts')).policyRollback,
  policy_ack: async () => (await import('./policy-ack.ts')).policyAck,
  policy_explain: async () => (await import('./policy-explain.ts')).policyExplain,
  gateway_map: async () => (await import('./gateway-map.ts')).gatewayMap,
  gateway_unmap: async () => (await import('./gateway-unmap.ts')).gatewayUnmap,
  gateway_list: async () => (await import('./gateway-list.ts')).gatewayList,
  coherence_label: async () => (await import('./coherence-label.ts')).coherenceLabel,
  coherence_promote: async () => (await import('./coherence-stage.ts')).coherencePromote,
  coherence_demote: async () => (await import('./coherence-stage.ts')).coherenceDemote,
  credential_set: async () => (await import('./credential-set.ts')).credentialSet,
  credential_list: async () => (await import('./credential-list.ts')).credentialList,
  credential_remove: async () => (await import('./credential-remove.ts')).credentialRemove,
  target_add: async () => (await import('./target-add.ts')).targetAdd,
  target_list: async () => (await import('./target-list.ts')).targetList,
  target_test: async () => (await import('./target-test.ts')).targetTest,
  target_detect: async () => (await import('./target-detect.ts')).targetDetect,
  notifier_add: async () => (await import('./notifier-add.ts')).notifierAdd,
  notifier_list: async () => (await import('./notifier-list.ts')).notifierList,
  notifier_remove: async () => (await import('./notifier-remove.ts')).notifierRemove,
  notifier_test: async () => (await import('./notifier-test.ts')).notifierTest,
  schedule_list: async () => (await import('./schedule-list.ts')).scheduleList,
  schedule_next: async () => (await import('./schedule-next.ts')).scheduleNext,
  schedule_add: async () => (await import('./schedule-add.ts')).scheduleAdd,
  schedule_remove: async () => (await import('./schedule-remove.ts')).scheduleRemove,
  probe_list: async () => (await import('./probe-list.ts')).probeList,
  probe_add: async () => (await import('./probe-add.ts')).probeAdd,
  probe_remove: async () => (await import('./probe-remove.ts')).probeRemove,
  worker_show: async () => (await import('./worker-show.ts')).workerShow,
  worker_set: async () => (await import('./worker-set.ts')).workerSet,
  mind_log: async () => (await import('./mind-log.ts')).mindLog,
  mind_pause: async () => (await import('./mind-pause.ts')).mindPause,
  mind_resume: async () => (await import('./mind-pause.ts')).mindResume,
  mind_once: async () => (await import('./mind-once.ts')).mindOnce,
  mind_switch: async () => (await import('./mind-switch.ts')).mindSwitch,
  seed_today: async () => (await import('./seed-today.ts')).seedToday,
  seed_watch: async () => (await import('./seed-watch.ts')).seedWatch,
  seed_todo: async () => (await import('./seed-todo.ts')).seedTodo,
  seed_doctor: async () => (await import('./seed-doctor.ts')).seedDoctor,
  seed_halt: async () => (await import('./seed-halt.ts')).seedHalt,
  seed_resume: async () => (await import('./seed-halt.ts')).seedResume,
  seed_stop: async () => (await import('./seed-stop.ts')).seedStop,
};

/** What was loaded: `import()` itself looks a module up anew each time, which is most of a short call. */
const loaded = new Map<string, Tool>();

/** The tool of that name; null where there is none. */
export async function findTool(name: string): Promise<Tool | null> {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const load = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
  if (load === undefined) return null;
  const tool = await load();
  loaded.set(name, tool);
  return tool;
}

/** All of them, in their order. */
export async function allTools(): Promise<readonly Tool[]> {
  const tools = await Promise.all(Object.keys(FILES).map(findTool));
  return tools.filter((tool) => tool !== null);
}
