/**
 * The first policy of a new seed: `policies/starter.yaml`, less what cannot run here.
 *
 * Which targets, models and ceiling it has stands in that file alone (LOCK-RUNTIME-1).
 */
import { readFileSync } from 'node:fs';
import { SeedError } from '../../errors.ts';
import { readDocument } from './document.ts';
import { Model, POLICY_LIMITS } from './fields.ts';
import { renderPolicy } from './render.ts';
import type { PolicyRows, RoutingRow } from './rows.ts';

/** Beside the program, in a checkout and in a package alike. */
const STARTER = new URL('../../../policies/starter.yaml', import.meta.url);

/** In the file, stands for each model that is found at the target. */
const EACH_MODEL = 'each-found';
/** Of one target's models that take the place of `each-found`, at most. */
const MODELS_MAX = 4;

/** A target of the starter file that can be called here. */
export interface StarterTarget {
  /** As in `policies/starter.yaml`. */
  readonly name: string;
  /** What is there instead of `each-found`, best first; none for a target that needs none. */
  readonly models?: readonly string[];
  /** Where it answers, if not where the file says. */
  readonly baseUrl?: string;
}

export interface Starter {
  /** A policy file, to be applied as it is. */
  readonly document: string;
  /** The roles that can run. */
  readonly roles: readonly string[];
  /** Targets that can be called and that no role names yet, such as one whose prices the owner must say. */
  readonly unused: readonly string[];
}

/** What a target of the starter file needs to be called. */
export interface StarterNeeds {
  readonly name: string;
  readonly provider: string;
  readonly baseUrl: string;
  readonly credential: string | null;
}

/** Every target of the starter file: what to look for on this machine. */
export function starterTargets(): readonly StarterNeeds[] {
  return readStarter().targets.map(({ name, provider, base_url: baseUrl, credential }) => ({
    name,
    provider,
    baseUrl,
    credential,
  }));
}

/** The policy for what is there; null where no role could run. */
export function renderStarter({ targets }: { readonly targets: readonly StarterTarget[] }): Starter | null {
  const rows = readStarter();
  const here = new Map(targets.map((target) => [target.name, target]));
  const kept = rows.targets
    .filter(({ name }) => here.has(name))
    .map((target) => ({ ...target, base_url: here.get(target.name)?.baseUrl ?? target.base_url }));
  const routing = [...Map.groupBy(rows.routing, ({ role }) => role).values()].flatMap((candidates) =>
    candidates
      .flatMap((candidate) => present(candidate, here.get(candidate.target)))
      .slice(0, POLICY_LIMITS.candidatesPerRole)
      .map((candidate, index) => ({ ...candidate, position: index + 1 })),
  );
  if (routing.length === 0) return null;
  const used = new Set(routing.map(({ target }) => target));
  return {
    document: renderPolicy({ ...rows, targets: kept, routing }),
    roles: [...new Set(routing.map(({ role }) => role))],
    unused: kept.map(({ name }) => name).filter((name) => !used.has(name)),
  };
}

function present(candidate: RoutingRow, target: StarterTarget | undefined): RoutingRow[] {
  if (target === undefined) return [];
  if (candidate.model !== EACH_MODEL) return [candidate];
  const models = (target.models ?? []).filter((model) => Model.safeParse(model).success);
  return models.slice(0, MODELS_MAX).map((model) => ({ ...candidate, model }));
}

function readStarter(): PolicyRows {
  const { rows, problems } = readDocument(readFileSync(STARTER, 'utf8'));
  if (rows !== null) return rows;
  throw new SeedError('internal', `The starter policy does not parse: ${problems[0]?.message ?? ''}`, {
    hint: 'Install the program again.',
  });
}
