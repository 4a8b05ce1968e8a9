# Sourced by tools/install.sh: how a step of the installation runs, shows that it
# lives, fails with one line and is stopped. Uses `$ccmim_root`, `$cache` and `$logs`.
# shellcheck shell=bash disable=SC2154

job='' # process group of the step that runs

say() { printf 'install: %s\n' "$*"; }
die() {
  printf 'install: %s\n' "$*" >&2
  exit 1
}
clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# progress LOG SECONDS: files compiled so far, else the last thing that pip began.
progress() {
  local log=$1 seconds=$2 count
  count=$(grep -Eo '^ *\[[0-9]+/[0-9]+\] ' "$log" | tail -n 1 | tr -dc '0-9/') || true
  if [[ -n $count ]]; then
    printf '%s of %s files compiled, about %s left\n' "${count%/*}" "${count#*/}" \
      "$(clock $((seconds * (${count#*/} - ${count%/*}) / ${count%/*})))"
  else
    grep -E '^ *(Collecting|Downloading|Building wheel|Installing) ' "$log" |
      tail -n 1 | sed 's/^ *//' | cut -c 1-70 || true
  fi
}

# explain LABEL LOG: ends the installation with the one line that a failed step needs.
explain() {
  local label=$1 log=$2 ending cause
  # The ending alone: a warning that pip got over is no cause.
  ending=$(tail -n 80 "$log")
  case $ending in
    *'No space left on device'*)
      cause="the disk is full; free space in $ccmim_root, $cache and ${TMPDIR:-/tmp}" ;;
    *externally-managed-environment*)
      cause='this Python belongs to the system; unset CCMIM_PYTHON, then .venv is used' ;;
    *NewConnectionError* | *'name resolution'* | *ConnectTimeout* | *ReadTimeout* | \
      *'Connection refused'* | *'Network is unreachable'* | *ProxyError*)
      cause="the package registry cannot be reached; look at the network, the proxy
        and 'pip config list'" ;;
    *CERTIFICATE_VERIFY_FAILED* | *SSLError*)
      cause='the certificate of the package registry is not trusted; set PIP_CERT' ;;
    *Killed* | *'out of memory'*)
      cause='memory ran out; set MAX_JOBS=1' ;;
    *)
      cause=$({ grep -iE '\berror\b' "$log" || tail -n 1 "$log"; } | tail -n 1 |
        sed 's/^ *//' | cut -c 1-200)
      cause="$cause (all of it: $log); mend that" ;;
  esac
  # Unquoted, so that it becomes one line.
  # shellcheck disable=SC2086
  die "$label failed:" $cause', then run this again'
}

# step LABEL LOG COMMAND...: runs the command quietly and tells every 20 s how far it is.
step() {
  local label=$1 log=$logs/$2.log start=$SECONDS told=$SECONDS code=0
  shift 2
  say "$label"
  # In a process group of its own, so that stopping it stops the compilers as well.
  set -m
  "$@" </dev/null >"$log" 2>&1 9>&- &
  job=$!
  set +m
  while kill -0 "$job" 2>/dev/null; do
    if ((SECONDS - start < 2)); then sleep 0.02; else sleep 0.5; fi
    if ((SECONDS - told >= 20)); then
      told=$SECONDS
      say "  $(clock $((SECONDS - start)))  $(progress "$log" $((SECONDS - start)))"
    fi
  done
  wait "$job" || code=$?
  job=''
  if ((code != 0)); then explain "$label" "$log"; fi
  say "  done in $(clock $((SECONDS - start)))"
}

# To be called on exit: stops what runs.
clean_up() {
  if [[ -n $job ]]; then
    kill -TERM -- "-$job" 2>/dev/null || true
    wait "$job" 2>/dev/null || true
    sleep 0.5 # ninja stops its compilers only after it has got the signal itself
  fi
}

# To be called on a signal with the exit code of that signal.
stopped() {
  say 'stopped; run the same command again to resume' >&2
  exit "$1"
}
