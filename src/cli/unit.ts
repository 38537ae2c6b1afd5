/** Service files that run the daemon under the user's own service manager, with absolute paths. */
import { LAUNCHER } from './launcher.ts';

export function serviceUnit(manager: 'systemd' | 'launchd', home: string): string {
  const program = [process.execPath, LAUNCHER, 'up', '--home', home];
  return manager === 'systemd' ? systemd(program) : launchd(program);
}

/**
 * Quotes a word for ExecStart (systemd.service(5), "Command lines"). Variables are put into every
 * word but the first, so only there does a dollar sign stand as it is.
 */
function systemdWord(word: string, index: number): string {
  const quoted = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('%', '%%');
  return `"${index === 0 ? quoted : quoted.replaceAll('$', '$$$$')}"`;
}

function systemd(program: readonly string[]): string {
  return `# ~/.config/systemd/user/seed.service
# systemctl --user daemon-reload && systemctl --user enable --now seed
# loginctl enable-linger: keeps it running when you are logged out
[Unit]
Description=sovereign-seed

[Service]
ExecStart=${program.map(systemdWord).join(' ')}
Restart=on-failure
RestartSec=2
TimeoutStopSec=30
UMask=0077

[Install]
WantedBy=default.target
`;
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function launchd(program: readonly string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ~/Library/LaunchAgents/sovereign-seed.plist; launchctl bootstrap gui/$(id -u) that file -->
<plist version="1.0">
<dict>
  <key>Label</key><string>sovereign-seed</string>
  <key>ProgramArguments</key>
  <array>
${program.map((word) => `    <string>${xml(word)}</string>`).join('\n')}
  </array>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>Umask</key><integer>63</integer>
</dict>
</plist>
`;
}
