/**
 * What a tool is: a name, what it needs, what it takes and gives, and what it does.
 *
 * Every way into the seed (a client's tool call, the owner's command) ends in one of these, and
 * `doors/call.ts` is the only place that runs them. One tool a file, `<noun>-<verb>.ts`.
 */
import type * as z from 'zod';
import type { Actor } from '../substrate/actor.ts';
import type { Substrate, SubstrateReader } from '../substrate/substrate.ts';
import type { ReceiptSubject } from '../formats/receipt.ts';
import type { Egress } from '../membrane/egress.ts';
import type { KeyService } from '../membrane/keys.ts';
import type { Notifiers } from '../membrane/notify.ts';
import type { Cut } from '../membrane/streams.ts';
import type { Mind } from '../mind/mind.ts';
import type { Grant } from '../substrate/identity/grants.ts';
import type { Daemon } from './daemon.ts';

/** How far a long piece of work has come. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly what: string;
}

interface BaseContext {
  readonly actor: Actor;
  /** The grant that the actor came in by; null for the owner. */
  readonly grant: Grant | null;
  /** The process that runs this: what it is, and how to stop it. */
  readonly daemon: Daemon;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  readonly progress: (progress: Progress) => void;
  /** Calls models. @throws SeedError `home_locked` when it is used in a process that may only read */
  readonly mind: Mind;
  /** The way out, and the credentials that may go out by it. */
  readonly egress: Egress;
  /** How the owner is told. */
  readonly notifiers: Notifiers;
}

export interface ReadContext extends BaseContext {
  readonly substrate: SubstrateReader;
}

export interface WriteContext extends BaseContext {
  readonly substrate: Substrate;
  /** Issues and removes keys. */
  readonly keys: KeyService;
  /** Cuts off this very call, as the membrane knows it; null where nothing was registered. */
  readonly own: Cut | null;
}

interface ToolFace<I, O> {
  /** `<noun>_<verb>`; the receipt's action is the same with a dot. */
  readonly name: string;
  /** Plain words, for a person. */
  readonly title: string;
  /** Begins with "Use when …". */
  readonly description: string;
  /** The scope an actor must hold, matched whole, or a kind of them (`memory.read:SPACE`); null where having been let in is enough. */
  readonly scope: string | null;
  /** `daily` and `full`: for agents. `owner`: at the owner's door alone. */
  readonly surface: 'daily' | 'full' | 'owner';
  /** An owner act asks for the owner passphrase where one is set. */
  readonly ownerAct?: boolean;
  readonly input: z.ZodType<I>;
  readonly output: z.ZodType<O>;
  /** What a client may assume (MCP tool annotations); a read tool is read-only without saying so. */
  readonly annotations?: { readonly destructive?: boolean; readonly idempotent?: boolean };
  /** Whether an answer is to be an error to clients (`isError`): a refusal with all that is known of it. */
  readonly isError?: (output: O) => boolean;
  /**
   * The answer in readable lines. Many clients give their model these and nothing else, so all that
   * it needs stands in them; JSON without it, which only the owner's own tools are.
   */
  readonly text?: (output: O) => string;
}

interface ReadTool<I, O> extends ToolFace<I, O> {
  /** Needs no lock and leaves no receipt of its own. */
  readonly access: 'read';
  /** What it reads, for the receipt that a helper's read leaves; the seed itself without it. */
  readonly subject?: (input: I) => ReceiptSubject;
  readonly handler: (input: I, context: ReadContext) => Promise<O>;
}

interface WriteTool<I, O> extends ToolFace<I, O> {
  readonly access: 'write';
  readonly handler: (input: I, context: WriteContext) => Promise<O>;
}

/** A tool whose types have been checked where it was defined. */
export type Tool = ReadTool<unknown, unknown> | WriteTool<unknown, unknown>;

/** Checks a tool's types against each other; the registry keeps them without. */
export function defineTool<I, O>(tool: ReadTool<I, O> | WriteTool<I, O>): Tool {
  return tool as unknown as Tool;
}

/** The receipt action of a tool: `receipt_get` is `receipt.get`. */
export function toolAction({ name }: Pick<Tool, 'name'>): string {
  return name.replace('_', '.');
}
