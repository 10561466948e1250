# Sourced by start.sh: finds a Python, keeps the virtual environment, and asks LocalStack for its health. It uses
# VERSION, REQUIREMENTS, say and die of start.sh.

cache=${COATCHECK_LOCALSTACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/coatcheck/localstack-$VERSION}
# One for each list of requirements: another branch's may be running.
venv=$cache/venv-$(cksum <"$REQUIREMENTS" | cut -d ' ' -f 1)

# works PYTHON tells whether it runs and can make a virtual environment. A pyenv shim exists for versions that are
# not switched on, and Debian's python3 comes without ensurepip: both are found out only by trying.
works() {
  "$1" -c 'import sys, ssl, sqlite3, ctypes, ensurepip, venv; sys.exit(sys.version_info < (3, 13))' >/dev/null 2>&1
}

# find_python prints the interpreter to use. LocalStack 4.14 says that it takes Python 3.10 and newer, but with 3.12 its
# S3 and SQS do not load: 3.13 it is, which its image has too, or a newer one.
find_python() {
  if [[ -n ${COATCHECK_LOCALSTACK_PYTHON:-} ]]; then
    works "$COATCHECK_LOCALSTACK_PYTHON" || die "COATCHECK_LOCALSTACK_PYTHON=$COATCHECK_LOCALSTACK_PYTHON is not a Python >= 3.13 with venv and ensurepip"
    echo "$COATCHECK_LOCALSTACK_PYTHON"
    return
  fi
  local minor candidate full
  for minor in 3.13 3.14; do
    candidate=$(command -v "python$minor" || true)
    if [[ -n $candidate ]] && works "$candidate"; then echo "$candidate"; return; fi
    command -v pyenv >/dev/null || continue
    full=$(pyenv versions --bare 2>/dev/null | grep -E "^${minor//./\\.}\.[0-9]+$" | sort -V | tail -n 1 || true)
    [[ -n $full ]] || continue
    candidate=$(pyenv prefix "$full")/bin/python$minor
    if works "$candidate"; then echo "$candidate"; return; fi
  done
  candidate=$(command -v python3 || true)
  if [[ -n $candidate ]] && works "$candidate"; then echo "$candidate"; return; fi
  die "no Python >= 3.13 with venv and ensurepip found, on the PATH or in pyenv (on Debian 13: apt-get install python3-venv)"
}

# ensure_venv makes the virtual environment unless it stands, complete.
ensure_venv() {
  local python started=$SECONDS try
  mkdir -p "$cache"
  if command -v flock >/dev/null; then
    exec 9>"$cache/lock"
    flock 9
  fi
  if [[ ! -e $venv/complete ]] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    python=$(find_python)
    say "installing LocalStack $VERSION into $venv with $("$python" --version)"
    for try in 1 2 3 4; do
      rm -rf "$venv"
      # No byte code in advance: what is imported is compiled at the first start, and most of moto never is.
      if "$python" -m venv "$venv" >&2 &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile \
          --retries 5 --timeout 60 -r "$REQUIREMENTS" >&2; then
        break
      fi
      [[ $try -lt 4 ]] || die "could not install LocalStack from PyPI in $try tries"
      say "install failed (try $try), once more in $((try * 5)) s"
      sleep $((try * 5))
    done
    "$venv/bin/python" -m pip check >&2 || die "the requirements do not fit together"
    touch "$venv/complete"
    say "installed in $((SECONDS - started)) s"
  fi
  if command -v flock >/dev/null; then exec 9>&-; fi
}

# keep_catalog and restore_catalog carry LocalStack's index of all services from one run's files to the next one's.
# Building it takes several seconds and 350 MB at each start.
keep_catalog() {
  local f
  for f in "$1"/service-catalog-*.dill; do
    if [[ -e $f && ! -e $cache/${f##*/} ]]; then cp "$f" "$cache/.catalog.$$" && mv "$cache/.catalog.$$" "$cache/${f##*/}"; fi
  done
}
restore_catalog() {
  local f
  mkdir -p "$1"
  for f in "$cache"/service-catalog-*.dill; do
    if [[ -e $f ]]; then cp "$f" "$1/"; fi
  done
}

# free_port prints a loopback port that was free a moment ago.
free_port() {
  "$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# health ENDPOINT [SERVICES] succeeds when LocalStack answers and every one of the services is running.
health() {
  local body service
  body=$(curl --noproxy '*' -fsS -m 2 "$1/_localstack/health") || return 1
  local wanted=${2:-}
  for service in ${wanted//,/ }; do
    [[ $body == *"\"$service\": \"running\""* || $body == *"\"$service\": \"available\""* ]] || return 1
  done
}
