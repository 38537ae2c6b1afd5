import type { Command } from 'commander';
import { Option } from 'commander';
import type { McpCommandOptions } from '../mcp/main.ts';
import { EXIT_MEANINGS, exitLines, spokenExample } from '../output.ts';

const EXAMPLES = [
  'seed mcp --as cursor',
  'seed mcp --as cursor --home /srv/seed --tools all',
  'seed mcp --url https://seed.example/mcp --key-file ~/.config/seed/helper.key',
];

export function addMcp(program: Command): void {
  program
    .command('mcp')
    .description('serve one MCP client on standard input and output; this is what clients start')
    .option(
      '--as <name>',
      'the agent’s name here: lower-case letters, digits, dots, dashes (default: the client’s own)',
    )
    .option('--home <dir>', 'the home’s folder')
    .addOption(new Option('--tools <set>', 'which tools the client sees').choices(['daily', 'all']).default('daily'))
    .option('--url <url>', 'a seed elsewhere, at its /mcp address')
    .option('--key-file <file>', 'the file with the access key for --url')
    .addHelpText('after', () => {
      const exits = { ...EXIT_MEANINGS, ok: 'the client is done', failed: 'the seed cannot be had, or refuses' };
      const { ok, failed, usage } = exits;
      return `
Starts the daemon when none runs, and stays across its restarts. \`seed connect\` sets clients up.

Examples:
${EXAMPLES.map((example) => `  $ ${spokenExample(example)}`).join('\n')}

Exit codes:
${exitLines({ ok, failed, usage })}`;
    })
    .action(mcp);
}

async function mcp(options: McpCommandOptions): Promise<void> {
  const { runMcp } = await import('../mcp/main.ts');
  process.exitCode = await runMcp(options);
}
