/** The MCP clients that the seed knows how to set up: where each keeps its servers, and in what form. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export const SCOPES = ['user', 'project'] as const;
export type Scope = (typeof SCOPES)[number];

export interface Client {
  /** Its own name, as its users know it. */
  readonly title: string;
  /** The member of its configuration that holds the servers. */
  readonly servers: 'mcpServers' | 'servers';
  /** Whether an entry says which transport it is. */
  readonly saysType: boolean;
  /** Whether its file may have comments and trailing commas. */
  readonly allowsComments: boolean;
  /** Its file for all of the user's projects, below the home folder, by platform. */
  readonly userFile: Readonly<{ darwin: string; other: string }>;
  /** Its file for one project, below the project's folder; null where it has none. */
  readonly projectFile: string | null;
  /** Its settings with hooks, below the home folder and below a project's; null where it has no hooks. */
  readonly hooksFile: Readonly<{ user: string; project: string }> | null;
  /** What makes it notice. */
  readonly afterwards: string;
}

const CLAUDE_DESKTOP: Client = {
  title: 'Claude Desktop',
  servers: 'mcpServers',
  saysType: false,
  allowsComments: false,
  userFile: {
    darwin: 'Library/Application Support/Claude/claude_desktop_config.json',
    other: '.config/Claude/claude_desktop_config.json',
  },
  projectFile: null,
  hooksFile: null,
  afterwards: 'Quit Claude Desktop and open it again.',
};

const CLAUDE_CODE: Client = {
  title: 'Claude Code',
  servers: 'mcpServers',
  saysType: true,
  allowsComments: false,
  userFile: { darwin: '.claude.json', other: '.claude.json' },
  projectFile: '.mcp.json',
  // The project's own settings go to everybody who works on it; paths of this machine do not belong there.
  hooksFile: { user: '.claude/settings.json', project: '.claude/settings.local.json' },
  afterwards: 'Start a new session of Claude Code; /mcp shows the connection.',
};

const CURSOR: Client = {
  title: 'Cursor',
  servers: 'mcpServers',
  saysType: false,
  allowsComments: true,
  userFile: { darwin: '.cursor/mcp.json', other: '.cursor/mcp.json' },
  projectFile: '.cursor/mcp.json',
  hooksFile: null,
  afterwards: 'Switch the server on under Cursor’s settings, MCP.',
};

const VSCODE: Client = {
  title: 'VS Code',
  servers: 'servers',
  saysType: true,
  allowsComments: true,
  userFile: { darwin: 'Library/Application Support/Code/User/mcp.json', other: '.config/Code/User/mcp.json' },
  projectFile: '.vscode/mcp.json',
  hooksFile: null,
  afterwards: 'Run "MCP: List Servers" in VS Code and start it there.',
};

export const CLIENTS = {
  'claude-desktop': CLAUDE_DESKTOP,
  'claude-code': CLAUDE_CODE,
  cursor: CURSOR,
  vscode: VSCODE,
} as const satisfies Record<string, Client>;

/** A client with a configuration file. */
export type ClientName = keyof typeof CLIENTS;

export const CLIENT_NAMES = Object.keys(CLIENTS) as readonly ClientName[];

export function isClientName(name: string): name is ClientName {
  return Object.hasOwn(CLIENTS, name);
}

/** The client's settings with hooks, absolute; null where it has none. */
export function hooksFile({ hooksFile: files }: Client, scope: Scope, home: string = homedir()): string | null {
  if (files === null) return null;
  return scope === 'project' ? resolve(files.project) : join(home, files.user);
}

/** The client's own file, absolute; null when it has none for that scope. */
export function clientFile(
  { userFile, projectFile }: Client,
  scope: Scope,
  { home = homedir(), platform = process.platform }: { home?: string; platform?: NodeJS.Platform } = {},
): string | null {
  if (scope === 'project') return projectFile === null ? null : resolve(projectFile);
  return join(home, platform === 'darwin' ? userFile.darwin : userFile.other);
}
