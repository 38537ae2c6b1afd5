/** What receipts record, in words: a verb in the past and what it was done to. */

const WORDS: Readonly<Record<string, readonly [verb: string, noun: string]>> = {
  'agent.admit': ['let in', 'agent'],
  'agent.rename': ['renamed', 'agent'],
  'bus.send': ['sent', 'message'],
  'bus.receive': ['looked for', 'message'],
  'bus.ack': ['sent', 'acknowledgement'],
  'bus.bury': ['gave up', 'message'],
  'bus.follow': ['followed', 'topic'],
  'bus.retry': ['put back', 'dead letter'],
  'bus.drop': ['dropped', 'dead letter'],
  'coherence.alarm': ['raised an alarm about', 'subsystem'],
  'coherence.clear': ['cleared an alarm about', 'subsystem'],
  'coherence.read': ['looked at', 'pulse'],
  'coherence.label': ['labelled', 'alarm'],
  'coherence.promote': ['trusted coherence further with', 'subsystem'],
  'coherence.demote': ['held coherence back from', 'subsystem'],
  'credential.set': ['set', 'credential'],
  'credential.remove': ['removed', 'credential'],
  'handoff.offer': ['offered', 'handoff'],
  'handoff.accept': ['accepted', 'handoff'],
  'handoff.withdraw': ['withdrew', 'handoff'],
  'key.issue': ['issued', 'key'],
  'key.revoke': ['revoked', 'key'],
  'membrane.register': ['registered', 'key'],
  'membrane.revoke': ['revoked', 'key'],
  'membrane.request': ['asked for', 'permission'],
  'membrane.refuse': ['turned away', 'stranger'],
  'memory.search': ['searched', 'memory'],
  'memory.write': ['wrote', 'memory'],
  'memory.forget': ['forgot', 'memory'],
  'memory.restore': ['restored', 'memory'],
  'memory.erase': ['erased', 'memory'],
  'memory.export': ['made', 'memory export'],
  'memory.import': ['made', 'memory import'],
  'mind.admit': ['gave a grant to', 'organ'],
  'mind.digest': ['sorted', 'message'],
  'mind.off': ['switched off', 'organ'],
  'mind.on': ['switched on', 'organ'],
  'mind.organ': ['ran', 'organ'],
  'mind.pause': ['paused', 'mind'],
  'mind.restart': ['restarted', 'mind'],
  'mind.resume': ['resumed', 'mind'],
  'mind.synthesis': ['took in', 'synthesis'],
  'mind.wake': ['woke', 'mind'],
  'mind.tell': ['passed on', 'message'],
  'note.claim': ['noted', 'claim'],
  'notice.tell': ['told', 'notice'],
  'policy.apply': ['put in force', 'policy'],
  'policy.ack': ['acknowledged', 'edit'],
  'policy.external_edit': ['edited', 'policy row'],
  'policy.rollback': ['brought back', 'policy'],
  'probe.add': ['began to watch', 'probe'],
  'probe.remove': ['watched no longer', 'probe'],
  'receipt.erase': ['erased', 'content'],
  'receipt.export': ['made', 'export of the log'],
  'request.approve': ['approved', 'request'],
  'request.deny': ['denied', 'request'],
  'route.attempt': ['made', 'model call'],
  'route.enqueue': ['queued', 'call'],
  'schedule.add': ['set', 'schedule'],
  'schedule.begin': ['began', 'occurrence'],
  'schedule.end': ['ended', 'occurrence'],
  'schedule.reckon': ['reckoned', 'schedule'],
  'schedule.remove': ['removed', 'schedule'],
  'session.open': ['opened', 'session'],
  'session.append': ['went on with', 'session'],
  'session.step': ['took', 'session step'],
  'session.checkpoint': ['noted how far', 'session'],
  'session.close': ['closed', 'session'],
  'session.tool': ['began', 'tool call'],
  'session.import': ['imported', 'session'],
  'session.export': ['exported', 'session'],
  'target.test': ['tried', 'target'],
  'task.add': ['added', 'task'],
  'task.claim': ['claimed', 'task'],
  'task.list': ['looked at', 'task list'],
  'task.progress': ['went on with', 'task'],
  'task.finish': ['finished', 'task'],
  'task.verify': ['verified', 'task'],
  'task.reject': ['sent back', 'task'],
  'task.release': ['let go of', 'task'],
  'task.lapse': ['freed', 'task'],
  'task.cancel': ['cancelled', 'task'],
  'task.reopen': ['reopened', 'task'],
  'task.amend': ['amended', 'task'],
  'worker.set': ['set', 'limit of the worker'],
};

/** What is said of an action that has no words of its own. */
const OTHER = ['did', 'act'] as const;

function plural(noun: string): string {
  const [head = noun, ...rest] = noun.split(/ (?=of )/);
  if (rest.length > 0) return [plural(head), ...rest].join(' ');
  if (/[^aeiou]y$/.test(noun)) return `${noun.slice(0, -1)}ies`;
  return noun === 'content' ? noun : `${noun}s`;
}

/** `sent 12 messages`; `policy.prices, 2 times` where there are no words. */
export function sayCount(action: string, count: number): string {
  const words = WORDS[action];
  if (words === undefined) return count === 1 ? action : `${action}, ${count} times`;
  const [verb, noun] = words;
  return `${verb} ${count} ${count === 1 ? noun : plural(noun)}`;
}

interface Said {
  readonly action: string;
  readonly outcome: string;
  readonly code: string | null;
  readonly subject: { readonly type: string; readonly id: string };
}

/** What one receipt records, without who. */
export function sayReceipt({ action, outcome, code, subject }: Said): string {
  const [verb, noun] = WORDS[action] ?? OTHER;
  const what = subject.type === 'seed' ? noun : `${subject.type} ${subject.id}`;
  const did =
    WORDS[action] === undefined ? `${action}${subject.type === 'seed' ? '' : `: ${what}`}` : `${verb} ${what}`;
  if (outcome === 'ok') return did;
  const why = code === null ? '' : ` (${code})`;
  if (outcome === 'refused') return `was refused${why}: ${action}${subject.type === 'seed' ? '' : ` on ${what}`}`;
  const how = { intent: 'begins', claimed: 'claims', failed: 'failed', incomplete: 'was cut off' }[outcome] ?? outcome;
  return `${did}: ${how}${why}`;
}
