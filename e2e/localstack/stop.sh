#!/usr/bin/env bash
# Ends the LocalStack that start.sh started: stop.sh DIR, the DIR that start.sh printed. Removes DIR when start.sh
# made it up.
set -euo pipefail

dir=${1:?usage: stop.sh DIR}
pid=$(cat "$dir/pid" 2>/dev/null || true)

# alive tells whether the pid is still ours: it may be somebody else's by now.
alive() { [[ -n $pid ]] && ps -ww -o args= -p "$pid" 2>/dev/null | grep -q localstack; }

if alive; then
  kill -TERM "$pid" 2>/dev/null || true
  for _ in $(seq 150); do alive || break; sleep 0.1; done
  if alive; then echo "localstack: $pid did not end on SIGTERM, killing it" >&2; kill -KILL "$pid"; fi
fi
rm -f "$dir/pid"
if [[ -e $dir/temporary ]]; then rm -rf "$dir"; fi
