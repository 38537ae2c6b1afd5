/** What a trial call to a target came to, in plain words: what is wrong, and how to mend it. Pure. */
import type { CallOutcome } from '../mind/router/outcome.ts';
import type { Target } from '../substrate/policy/model.ts';

export interface Verdict {
  readonly ok: boolean;
  /** `ok`, or what kept it from answering: an error code or a provider's fault. */
  readonly code: string;
  readonly what: string;
  readonly hint: string;
}

export interface Trial {
  readonly target: Target;
  readonly model: string;
  readonly outcome: CallOutcome;
}

/** The verdict on a call that was made, or that was kept from being made. */
export function judge({ target, model, outcome }: Trial): Verdict {
  // A model that would have said more than the few tokens of a trial has answered.
  if (outcome.status === 'complete')
    return { ok: true, code: 'ok', what: `${target.name} answers: ${model}.`, hint: '' };
  if (outcome.status === 'running') {
    return {
      ok: false,
      code: 'timeout',
      what: `${target.name} has not answered yet; the call goes on.`,
      hint: 'A model that is being loaded takes its time: run `seed target test` again in a minute.',
    };
  }
  const attempt = outcome.attempts.findLast(({ outcome: how }) => how !== 'ok');
  const code = attempt?.code ?? outcome.code ?? outcome.status;
  const said = attempt?.why ?? outcome.message ?? 'It did not answer.';
  return {
    ok: false,
    code,
    what: said,
    hint: mend({ target, model, code, said }) ?? outcome.hint ?? 'Try again later.',
  };
}

interface Failure {
  readonly target: Target;
  readonly model: string;
  readonly code: string;
  /** In our own words, with a status or the system's name for the error in it. */
  readonly said: string;
}

/** How each kind of failure is mended; null where what the router said is all there is to say. */
function mend(failure: Failure): string | null {
  return (MENDS[failure.code] ?? (() => null))(failure);
}

const MENDS: Readonly<Record<string, (failure: Failure) => string | null>> = {
  unauthorized: ({ target }) => {
    if (target.credential === null) {
      return `It wants a key: \`seed target add ${target.name} --provider ${target.provider} --base-url ${target.baseUrl}\` asks for one.`;
    }
    const { origin } = new URL(target.baseUrl);
    return `The key was refused. Make a new one at the provider and keep it: \`seed credential set ${target.credential} --origin ${origin}\`.`;
  },
  unreachable: mendUnreachable,
  rejected: ({ target, model, said }) => {
    if (!said.includes(' 404'))
      return 'Look at the model’s name in `seed policy show`, and at the base_url of the target.';
    return target.provider === 'local-ollama'
      ? `Fetch the model: \`ollama pull ${model}\`, or name another in the policy.`
      : 'Name a model that the provider has: `seed policy show`, change it, `seed policy apply FILE`. The base_url may also be wrong.';
  },
  rate_limited: () => 'The key works, and its allowance is used up for now. Wait, or raise it with the provider.',
  overloaded: () => 'Nothing is wrong here: the provider has too much to do. Try again later.',
  server_error: () => 'The failure is the provider’s. Try again later.',
  timeout: () => 'It is slow, or a model is being loaded. Try again, or allow more under timeouts_ms in the policy.',
  benched: () => 'It asked to be left alone for a while. Try again after that time.',
  no_price: () => 'Add its price under prices in the policy: `seed policy show`, then `seed policy apply FILE`.',
  over_ceiling: () =>
    'Nothing was sent. Wait for the window to turn over, or raise the ceiling: `seed policy apply FILE`.',
};

/** Certificates that are not believed (OpenSSL's verify errors, as Node.js names them). */
const TLS = /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)/;

function mendUnreachable({ target, said }: Failure): string | null {
  const { host, hostname } = new URL(target.baseUrl);
  if (TLS.test(said)) {
    return `The connection to ${host} is not what it says it is: its certificate is not believed. Look at the machine’s clock, and at who stands in between; NODE_EXTRA_CA_CERTS names a certificate authority of your own.`;
  }
  if (/ENOTFOUND|EAI_AGAIN/.test(said))
    return `No address is known for ${hostname}. Is the network there, and the base_url right?`;
  if (said.includes('redirect'))
    return 'Give the target the address that it redirects to, if you trust that: `seed target add`.';
  if (target.provider === 'local-ollama')
    return `Is Ollama running? Start it with \`ollama serve\`; it should answer at ${host}.`;
  if (/ECONNREFUSED/.test(said)) return `Nothing listens at ${host}. Is the base_url right?`;
  return said.includes('(credential_unusable)') || said.includes('(egress_refused)')
    ? 'See `seed target list` and `seed credential list`.'
    : `Is the network there? ${host} could not be reached.`;
}
