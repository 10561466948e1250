#!/usr/bin/env bash
# Starts LocalStack on a loopback port and waits until it is ready: in Docker when an engine answers, else from
# PyPI in a virtual environment kept in a cache folder. See README.md for the options and what they cost.
set -euo pipefail

readonly VERSION=4.14.0
readonly HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly REQUIREMENTS=$HERE/requirements.txt
# shellcheck source=python.sh
source "$HERE/python.sh"

port=0
services=s3,sqs,sns,events,iam,sts,cloudwatch
dir=
runtime=${COATCHECK_LOCALSTACK_RUNTIME:-auto}
timeout=90
install_only=

usage() {
  cat <<'USAGE'
Usage: start.sh [options]

  --port N         loopback port (default: a free one)
  --services LIST  comma-separated (default: s3,sqs,sns,events,iam,sts,cloudwatch)
  --dir DIR        folder for the log, the pid and LocalStack's files (default: a new temporary one)
  --runtime R      auto, docker or python (default: auto, or COATCHECK_LOCALSTACK_RUNTIME)
  --timeout S      seconds to wait for readiness, the image's download included in Docker (default: 90)
  --install-only   make the virtual environment ready and stop

Prints to standard output, when LocalStack is ready:
  ENDPOINT=http://127.0.0.1:PORT
  PID=…            of the process to end with SIGTERM; the container ends with it
  DIR=…            what stop.sh takes
  LOG=…

Environment: COATCHECK_LOCALSTACK_CACHE (the folder of the virtual environment), COATCHECK_LOCALSTACK_PYTHON
(the interpreter to use), COATCHECK_LOCALSTACK_RUNTIME.
USAGE
}

say() { echo "localstack: $*" >&2; }
die() { say "$*"; exit 1; }

while [[ $# -gt 0 ]]; do
  case $1 in
    --port) port=${2:?}; shift 2 ;;
    --services) services=${2:?}; shift 2 ;;
    --dir) dir=${2:?}; shift 2 ;;
    --runtime) runtime=${2:?}; shift 2 ;;
    --timeout) timeout=${2:?}; shift 2 ;;
    --install-only) install_only=yes; shift ;;
    -h|--help) usage; exit 0 ;;
    *) usage >&2; die "unknown option $1" ;;
  esac
done

case $runtime in
  # The client alone is no engine: docker info fails where nothing answers.
  auto) if docker info >/dev/null 2>&1; then runtime=docker; else runtime=python; fi ;;
  docker|python) ;;
  *) die "--runtime $runtime: want auto, docker or python" ;;
esac

# The settings that both runtimes share. Signatures of presigned URLs are checked only when told to. The strategy
# "off" is no strategy: queue URLs as http://HOST:PORT/ACCOUNT/NAME, the only ones of these that Terraform takes.
settings=(
  "SERVICES=$services"
  STRICT_SERVICE_LOADING=1
  EAGER_SERVICE_LOADING=1
  S3_SKIP_SIGNATURE_VALIDATION=0
  SQS_ENDPOINT_STRATEGY=off
  SQS_DISABLE_CLOUDWATCH_METRICS=1
  DISABLE_EVENTS=1
  SKIP_SSL_CERT_DOWNLOAD=1
  PERSISTENCE=0
)

if [[ $runtime == python ]]; then
  ensure_venv
  [[ -z $install_only ]] || exit 0
  if [[ $port == 0 ]]; then port=$(free_port); fi
else
  [[ -z $install_only ]] || exit 0
  if [[ $port == 0 ]]; then port=4566; fi
fi

if [[ -z $dir ]]; then
  dir=$(mktemp -d "${TMPDIR:-/tmp}/coatcheck-localstack.XXXXXX")
  touch "$dir/temporary"
fi
mkdir -p "$dir/fs"
dir=$(cd "$dir" && pwd)
log=$dir/localstack.log
endpoint=http://127.0.0.1:$port

# Somebody else's server on the port would pass for ours below.
if health "$endpoint" >/dev/null 2>&1; then die "something already answers at $endpoint"; fi

if [[ $runtime == docker ]]; then
  run=(docker run --rm --name "coatcheck-localstack-$port" -p "127.0.0.1:$port:4566")
  for s in "${settings[@]}" "LOCALSTACK_HOST=127.0.0.1:$port"; do run+=(-e "$s"); done
  run+=("localstack/localstack:$VERSION")
else
  restore_catalog "$dir/fs/var/lib/localstack/cache"
  # OVERRIDE_IN_DOCKER=0: inside any container LocalStack believes to be in its own image and writes to
  # /var/lib, whatever FILESYSTEM_ROOT says. DNS_ADDRESS=0: no DNS server, which would want port 53.
  # The first start keeps the byte code that the installation left out, whatever the caller's environment says.
  run=(env -u PYTHONDONTWRITEBYTECODE -u PYTHONPATH -u PYTHONHOME "${settings[@]}" "LOCALSTACK_HOST=127.0.0.1:$port" "GATEWAY_LISTEN=127.0.0.1:$port"
    "FILESYSTEM_ROOT=$dir/fs" "XDG_CACHE_HOME=$cache/xdg" OVERRIDE_IN_DOCKER=0 DNS_ADDRESS=0
    PYTHONUNBUFFERED=1 "$venv/bin/python" -m localstack.runtime.main)
fi

started=$SECONDS
"${run[@]}" >"$log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$dir/pid"
# The log stays for whoever looks into the failure.
trap 'rm -f "$dir/temporary"; "$HERE/stop.sh" "$dir"' EXIT

until health "$endpoint" "$services" >/dev/null 2>&1; do
  if ! kill -0 "$pid" 2>/dev/null; then tail -n 30 "$log" >&2; die "LocalStack ended before it was ready"; fi
  if (( SECONDS - started > timeout )); then tail -n 30 "$log" >&2; die "not ready after $timeout s; the log is $log"; fi
  sleep 0.1
done
trap - EXIT
if [[ $runtime == python ]]; then keep_catalog "$dir/fs/var/lib/localstack/cache"; fi

say "ready after $((SECONDS - started)) s ($runtime, $services)"
echo "ENDPOINT=$endpoint"
echo "PID=$pid"
echo "DIR=$dir"
echo "LOG=$log"
