#!/usr/bin/env bash
# Installs all that ccmim needs; takes seconds when nothing is left to do.
#
#   bash tools/install.sh            what the quickstart, training and testing need
#   bash tools/install.sh --tests    and what tools/run_tests.sh needs
#
# Afterwards `ccmim_python` of tools/common.sh prints the interpreter to use.
#
# CCMIM_PYTHON       interpreter of an environment that exists: only what it lacks is
#                    installed. Without it, .venv of the checkout is made and used.
# CCMIM_BASE_PYTHON  the Python that .venv is made from.
# CCMIM_TORCH        what pip is given for torch instead of the torch lines of
#                    requirements/runtime.txt, options included:
#                    CCMIM_TORCH='torch==2.11.0 torchvision==0.26.0 --index-url URL'
#                    .venv remembers it for the next run.
# CCMIM_CACHE        where the built mmcv and the logs are kept (~/.cache/ccmim).
# MAX_JOBS           how many compilers run at a time while mmcv is built.
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=tools/installer/steps.sh
source "$ccmim_root/tools/installer/steps.sh"
# shellcheck source=tools/installer/mmcv.sh
source "$ccmim_root/tools/installer/mmcv.sh"

cache=$(realpath -m "${CCMIM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ccmim}")
logs=$cache/logs
requirements=$ccmim_root/requirements
mmcv=$(grep '^onedl-mmcv==' "$requirements/dense.txt")

pip() { "$python" -m pip install "$@"; }

supported() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' \
    2>/dev/null
}

# Name of the system's package of that Python.
package() { "$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])'; }

has_pip() { "$1" -m pip --version >/dev/null 2>&1; }

# Leaves a supported Python with pip in `$python`; makes .venv if need be.
need_python() {
  local base='' candidate
  if [[ -n ${CCMIM_PYTHON:-} ]]; then
    command -v "$python" >/dev/null ||
      die "CCMIM_PYTHON=$CCMIM_PYTHON is no program; give the path of a Python"
    supported "$python" ||
      die "$python is not Python 3.10, 3.11 or 3.12; unset CCMIM_PYTHON or change it"
    has_pip "$python" || die "$python has no pip; run: $python -m ensurepip"
    return
  fi
  if has_pip "$python"; then
    supported "$python" || die "$ccmim_root/.venv is not of Python 3.10, 3.11 or 3.12;" \
      'remove that folder and run this again'
    return
  fi
  for candidate in ${CCMIM_BASE_PYTHON:-python3 python3.12 python3.11 python3.10}; do
    if supported "$candidate"; then base=$candidate && break; fi
  done
  [[ -n $base ]] || die 'no Python 3.10, 3.11 or 3.12 was found; install one (apt-get' \
    'install python3.12 python3.12-venv, or uv, conda, pyenv) or set CCMIM_BASE_PYTHON'
  "$base" -c 'import venv, ensurepip' 2>/dev/null ||
    die "$base cannot make an environment; run: apt-get install $(package "$base")-venv"
  need_space "$ccmim_root" 12
  step "making .venv with $base" venv "$base" -m venv "$ccmim_root/.venv"
}

# need_space FOLDER GB
need_space() {
  local folder=$1 free
  until [[ -d $folder ]]; do folder=$(dirname "$folder"); done
  free=$(df -Pk "$folder" | awk 'NR == 2 {print int($4 / 1048576)}')
  ((free >= $2)) || die "$folder has $free GB free, and $2 GB are needed; free some" \
    'space there and run this again'
}

# OpenCV's usual wheel needs libGL; its headless wheel is the same without windows.
mend_opencv() {
  "$python" -c 'import cv2' 2>"$logs/cv2.log" && return
  step 'OpenCV does not load here; taking its headless wheel' opencv pip \
    --force-reinstall --no-deps \
    "$(grep '^opencv-python-headless==' "$requirements/dense.txt")"
  "$python" -c 'import cv2' 2>"$logs/cv2.log" ||
    die "$(tail -n 1 "$logs/cv2.log"); run: apt-get install libgl1 libglib2.0-0"
}

# ready KIND: whether the last install still holds: same files, torch and GPU, all loads.
ready() {
  local name lines
  command -v "$python" >/dev/null || return 1
  prefix=$("$python" -c 'import sys; print(sys.prefix)') || return 1
  [[ -f $prefix/.ccmim-installed ]] || return 1
  # From the root folder: a ccmim in the working directory would prove nothing.
  name=$(cd / && "$python" "$ccmim_root/tools/installer/ops_name.py" "$mmcv" \
    torchvision mmcv._ext mmengine ccmim 2>/dev/null) || return 1
  lines=(-e "$fingerprint $name tests")
  if [[ $1 == base ]]; then lines+=(-e "$fingerprint $name base"); fi
  grep -qxF "${lines[@]}" "$prefix/.ccmim-installed"
}

# One installation at a time for this cache, from whichever checkout.
lock() {
  command -v flock >/dev/null || return 0
  exec 9>"$cache/install.lock"
  if ! flock -n 9; then
    say 'another installation is running; waiting for it'
    flock 9
  fi
}

main() {
  local kind=base files=(runtime dense) pinned=() torch unmet rest name remembered
  if [[ ${1:-} == --tests ]]; then
    kind=tests files+=(tests)
    shift
  fi
  (($# == 0)) || die 'usage: bash tools/install.sh [--tests]'
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
  remembered=$ccmim_root/.venv/.ccmim-torch
  if [[ -z ${CCMIM_TORCH:-}${CCMIM_PYTHON:-} && -f $remembered ]]; then
    CCMIM_TORCH=$(<"$remembered")
  fi
  fingerprint=$({
    cat "$requirements"/*.txt "$ccmim_root/pyproject.toml"
    cat "$ccmim_root/tools/install.sh" "$ccmim_root"/tools/installer/*.*
    printf '%s\n' "$ccmim_root" "${CCMIM_TORCH:-}"
  } | sha256sum | cut -c 1-16)
  python=${CCMIM_PYTHON:-$ccmim_root/.venv/bin/python}
  if [[ $python == */* ]]; then python=$(realpath --no-symlinks "$python"); fi
  if ready "$kind"; then
    say "ready: $python"
    return
  fi

  mkdir -p "$logs" 2>/dev/null && [[ -w $cache ]] ||
    die "$cache cannot be written to; set CCMIM_CACHE to a folder that can"
  trap clean_up EXIT
  trap 'stopped 130' INT
  trap 'stopped 143' TERM HUP
  lock
  rm -rf "$cache"/building.*
  need_python
  prefix=$("$python" -c 'import sys; print(sys.prefix)')
  rm -f "$prefix/.ccmim-installed"
  if [[ -z ${CCMIM_PYTHON:-} ]]; then
    pinned=(-c "$requirements/runtime.txt" -c "$requirements/dense.txt")
    # Known before 3 GB are fetched: whether the build at the end can succeed.
    if [[ ! -f $prefix/.ccmim-ops ]] && ! wheel_kept; then need_compiler; fi
  fi
  if ! "$python" -c 'import torch' 2>/dev/null; then
    need_space "$prefix" 12
    need_space "${TMPDIR:-/tmp}" 4
  fi
  need_space "$cache" 2

  # Small and first, so that a registry out of reach is known at once.
  step 'installing the build tools' tools pip "${pinned[@]}" \
    'setuptools>=77,<82' wheel ninja psutil packaging
  step 'installing ccmim itself, editable' ccmim pip --no-build-isolation --no-deps \
    -e "$ccmim_root"
  unmet=$logs/unmet.txt rest=$logs/rest.txt
  if [[ -n ${CCMIM_PYTHON:-} ]]; then
    "$python" "$ccmim_root/tools/check_env.py" --unmet ${files[2]:+--tests} \
      >"$unmet" || die "$(head -n 1 "$unmet")"
    # A mmcv outside the bounds is replaced even if its ops work.
    if grep -q "^$mmcv" "$unmet"; then echo unfit >"$prefix/.ccmim-ops"; fi
  else
    for name in "${files[@]}"; do cat "$requirements/$name.txt"; done >"$unmet"
  fi
  torch=${CCMIM_TORCH:-}
  if [[ -z $torch ]] && grep -qE '^torch(vision)?==' "$unmet"; then
    torch=$(grep -E '^torch(vision)?==' "$requirements/runtime.txt")
  fi
  # Several words on purpose.
  # shellcheck disable=SC2086
  if [[ -n $torch ]]; then
    step "installing ${torch//$'\n'/ } (up to 3 GB)" torch pip $torch
  fi
  if [[ -n ${CCMIM_TORCH:-} && -z ${CCMIM_PYTHON:-} ]]; then
    printf '%s\n' "$CCMIM_TORCH" >"$remembered"
  fi
  if grep -vE '^(torch(vision)?|onedl-mmcv)==' "$unmet" >"$rest"; then
    step 'installing the other requirements' requirements pip -r "$rest"
  fi
  mend_opencv
  install_ops
  say 'checking that all of it works'
  "$python" "$ccmim_root/tools/check_env.py" >"$logs/check.log" ||
    die "$(grep -m 1 -A 1 '^X' "$logs/check.log" | tr -s ' \n' ' ')"
  printf '%s\n' "$fingerprint $ops $kind" >"$prefix/.ccmim-installed"
  say "ready after $(clock "$SECONDS"): $python"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; fi
