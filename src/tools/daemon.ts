/** What tools may know of the process that runs them, and ask of it. Handed in by `main.ts`. */
export interface Daemon {
  readonly pid: number;
  readonly version: string;
  /** `daemon`: it serves the home. `command`: a CLI command runs the tool by itself. */
  readonly role: 'daemon' | 'command';
  /** When the process took the home, ms since the epoch. */
  readonly startedAt: number;
  /** The sockets and addresses it answers at. */
  readonly doors: {
    readonly owner: string | null;
    /** The MCP address over HTTP; null while that door is shut. */
    readonly url: string | null;
    /** Why the HTTP door is shut, if it should be open. */
    readonly problem: string | null;
  };
  /** Names of the local agents that are connected. */
  readonly agents: () => readonly string[];
  /**
   * When a local agent's last connection went, ms since the epoch: null while it has one, and the start of
   * this process for one that has not come since.
   */
  readonly goneSince: (grant: string) => number | null;
  /** Writes down who came in when, which is gathered otherwise, so that a list shows this moment. */
  readonly settleUse: () => Promise<void>;
  /** Log lines that could not be written. */
  readonly droppedLogLines: () => number;
  /** Stops the process in good order, after the answer has gone out. */
  readonly stop: () => void;
}
