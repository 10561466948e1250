#!/bin/sh
# Finds Chromium for the tests, or installs Debian's. CHROMIUM names another one.
set -eu
chromium=${CHROMIUM:-/usr/bin/chromium}
if [ -x "$chromium" ]; then
  exit 0
fi
if [ -n "${CHROMIUM:-}" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "$chromium: there is none. Install Chromium (apt-get install chromium), or set CHROMIUM to one." >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
