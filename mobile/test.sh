#!/bin/sh
# Builds the Kotlin client and runs its tests against bin/coatcheck. `make test-mobile` builds what it needs.
set -eu
cd "$(dirname "$0")/kotlin"
command -v mvn >/dev/null || { echo "no mvn: install Maven 3.8 or newer (Debian: apt-get install maven)"; exit 1; }
command -v javac >/dev/null || { echo "no javac: install a JDK, 17 or newer (Debian: apt-get install openjdk-17-jdk-headless)"; exit 1; }

rm -rf target/surefire-reports
status=0
mvn -B -q -ntp -Dstyle.color=never test || status=$?
cat target/surefire-reports/*.txt 2>/dev/null | awk -F '[:,]' '
  /^Tests run:/ { run += $2; failed += $4 + $6; skipped += $8 }
  END { printf "mobile: %d passed, %d failed, %d skipped\n", run - failed - skipped, failed, skipped; exit run == 0 }'
exit $status
