#!/bin/sh
# Starts the seed of an MCP bundle on a Node of this machine.
#
# A desktop client runs a bundle whose command is plain `node` inside itself, where no other process
# can be started from it, and the seed's daemon must outlive the client. It also has not the shell's
# PATH, so the usual places are looked at as well.
here=${0%/*}
is_new_enough='var v=process.versions.node.split(".");process.exit(v[0]>22||(v[0]==22&&v[1]>=14)?0:1)'

for node in \
  "$(command -v node)" \
  /opt/homebrew/bin/node /usr/local/bin/node /usr/bin/node \
  "$HOME/.volta/bin/node" "$HOME/.local/bin/node" "$HOME/.asdf/shims/node" "$HOME/.local/share/mise/shims/node" \
  "$HOME"/.nvm/versions/node/*/bin/node \
  "$HOME"/.local/share/fnm/node-versions/*/installation/bin/node \
  "$HOME/Library/Application Support/fnm/node-versions"/*/installation/bin/node; do
  [ -x "$node" ] || continue
  "$node" -e "$is_new_enough" >/dev/null 2>&1 </dev/null || continue
  exec "$node" "$here/seed.cjs" "$@"
done
echo 'seed needs Node 22.14 or newer, and found none: install it from https://nodejs.org and start the client again.' >&2
exit 1
