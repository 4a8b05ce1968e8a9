#!/usr/bin/env bash
# Installs all that ccmim needs; takes seconds when nothing is left to do.
#
#   bash tools/install.sh                 what the quickstart, training and testing need
#   bash tools/install.sh --tests         and what tools/run_tests.sh needs
#   bash tools/install.sh --compiled-ops  and mmcv's own operators, compiled here; NMS
#                                         and RoIAlign come from torchvision without
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
# CCMIM_CACHE        where the logs are kept (~/.cache/ccmim).
# MAX_JOBS           how many compilers run at a time for --compiled-ops.
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=tools/installer/steps.sh
source "$ccmim_root/tools/installer/steps.sh"
# shellcheck source=tools/installer/compiled_ops.sh
source "$ccmim_root/tools/installer/compiled_ops.sh"

cache=$(realpath -m "${CCMIM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ccmim}")
logs=$cache/logs
requirements=$ccmim_root/requirements
mmcv=$(grep '^onedl-mmcv==' "$requirements/dense.txt")
versions='Python 3.10, 3.11, 3.12 or 3.13'
cpu_index=https://download.pytorch.org/whl/cpu

pip() { "$python" -m pip install "$@"; }

supported() {
  "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
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
      die "$python is not $versions; unset CCMIM_PYTHON or change it"
    has_pip "$python" || die "$python has no pip; run: $python -m ensurepip"
    return
  fi
  if has_pip "$python"; then
    supported "$python" || die "$ccmim_root/.venv is not of $versions;" \
      'remove that folder and run this again'
    return
  fi
  for candidate in ${CCMIM_BASE_PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
    if supported "$candidate"; then base=$candidate && break; fi
  done
  [[ -n $base ]] || die "no $versions was found; install one (apt-get" \
    'install python3.12 python3.12-venv, or uv, conda, pyenv) or set CCMIM_BASE_PYTHON'
  "$base" -c 'import venv, ensurepip' 2>/dev/null ||
    die "$base cannot make an environment; run: apt-get install $(package "$base")-venv"
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

# Takes out operators that were compiled for another torch; mmcv works without them.
mend_mmcv() {
  local site
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
  compgen -G "$site/mmcv/_ext*.so" >/dev/null || return 0
  ! "$python" "$ccmim_root/tools/check_env.py" --ops cpu >"$logs/ops.log" 2>&1 ||
    return 0
  step "mmcv's operators were compiled for another torch; taking it without" mmcv pip \
    --force-reinstall --no-deps --no-cache-dir "$mmcv"
}

# Prints the option for PyTorch's index of builds without CUDA, a tenth of the size,
# where no GPU is there and the index can be reached.
cpu_option() {
  [[ $(uname -sm) == 'Linux x86_64' ]] || return 0
  if compgen -G '/dev/nvidia[0-9]*' >/dev/null || [[ -e /dev/dxg ]]; then return; fi
  if timeout 10 "$python" -c \
    'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=5)' \
    "$cpu_index/torchvision/" >/dev/null 2>&1; then
    printf '%s\n' "--extra-index-url $cpu_index"
  fi
}

# need_torch WORDS: says what is to be fetched, looks for the room, and installs it.
need_torch() {
  local torch=$1 size=3 option=''
  if [[ -z ${CCMIM_TORCH:-} ]]; then option=$(cpu_option); fi
  if [[ $torch$option == */cpu* || $(uname -sm) != 'Linux x86_64' ]]; then size=1; fi
  if ! "$python" -c 'import torch' 2>/dev/null; then
    # Measured: 8 GB with CUDA, 3.4 GB without, the tests' packages and downloads included.
    need_space "$prefix" $((size == 3 ? 9 : 4))
    need_space "${TMPDIR:-/tmp}" $((size + 1))
  fi
  if ((size == 3)); then
    size='with CUDA: up to 3 GB to fetch, 6 GB on disk'
  else
    size='for the CPU: up to 0.3 GB to fetch, 1 GB on disk'
  fi
  # Several words on purpose.
  # shellcheck disable=SC2086
  step "installing $torch ($size)" torch pip $torch $option
}

# Prints torch's version and whose operators mmcv has; fails where something is broken.
state() {
  (cd / && env -u CCMIM_OPS "$python" -c 'if True:
    import ccmim, mmengine, torch, torchvision, mmcv.ops
    ours = mmcv._ext.__file__.endswith(".py")
    print(torch.__version__, "torchvision" if ours else "compiled")' 2>/dev/null)
}

# ready: whether the last install still holds: same files and torch, and all loads.
ready() {
  local now lines
  command -v "$python" >/dev/null || return 1
  prefix=$("$python" -c 'import sys; print(sys.prefix)') || return 1
  [[ -f $prefix/.ccmim-installed ]] || return 1
  # From the root folder: a ccmim in the working directory would prove nothing.
  now=$(state) || return 1
  if [[ $compiled == yes && $now != *compiled ]]; then return 1; fi
  lines=(-e "$fingerprint $now tests")
  if [[ $kind == base ]]; then lines+=(-e "$fingerprint $now base"); fi
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
  local kind=base compiled=no files=(runtime dense) pinned=() torch unmet rest name
  local remembered=$ccmim_root/.venv/.ccmim-torch
  for name in "$@"; do
    case $name in
      --tests) kind=tests files+=(tests docs) ;;
      --compiled-ops) compiled=yes ;;
      *) die "$name is unknown; usage: bash tools/install.sh [--tests] [--compiled-ops]" ;;
    esac
  done
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
  # Without a network pip is to give up in a minute, not in a quarter of an hour.
  export PIP_RETRIES=${PIP_RETRIES:-2} PIP_DEFAULT_TIMEOUT=${PIP_DEFAULT_TIMEOUT:-30}
  if [[ -z ${CCMIM_TORCH:-}${CCMIM_PYTHON:-} ]]; then
    if [[ -f $remembered ]]; then CCMIM_TORCH=$(<"$remembered"); fi
    if [[ $compiled == yes ]]; then CCMIM_TORCH=${CCMIM_TORCH:-$compiles_with}; fi
  fi
  fingerprint=$({
    cat "$requirements"/*.txt "$ccmim_root/pyproject.toml"
    cat "$ccmim_root/tools/install.sh" "$ccmim_root"/tools/installer/*.*
    printf '%s\n' "$ccmim_root" "${CCMIM_TORCH:-}"
  } | sha256sum | cut -c 1-16)
  python=${CCMIM_PYTHON:-$ccmim_root/.venv/bin/python}
  if [[ $python == */* ]]; then python=$(realpath --no-symlinks "$python"); fi
  if ready; then
    say "ready: $python"
    return
  fi

  mkdir -p "$logs" 2>/dev/null && [[ -w $cache ]] ||
    die "$cache cannot be written to; set CCMIM_CACHE to a folder that can"
  trap clean_up EXIT
  trap 'stopped 130' INT
  trap 'stopped 143' TERM HUP
  lock
  need_python
  prefix=$("$python" -c 'import sys; print(sys.prefix)')
  rm -f "$prefix/.ccmim-installed"
  if [[ $compiled == yes ]]; then need_compiler; fi # before all is fetched
  need_space "$prefix" 2
  if [[ -z ${CCMIM_PYTHON:-} ]]; then
    pinned=(-c "$requirements/runtime.txt" -c "$requirements/dense.txt")
  fi

  # Small and first, so that a registry out of reach is known at once.
  step 'installing the build tools' tools pip "${pinned[@]}" 'setuptools>=77,<82' packaging
  step 'installing ccmim itself, editable' ccmim pip --no-build-isolation --no-deps \
    -e "$ccmim_root"
  unmet=$logs/unmet.txt rest=$logs/rest.txt
  if [[ -n ${CCMIM_PYTHON:-} ]]; then
    "$python" "$ccmim_root/tools/check_env.py" --unmet ${files[2]:+--tests} \
      >"$unmet" || die "$(head -n 1 "$unmet")"
  else
    for name in "${files[@]}"; do cat "$requirements/$name.txt"; done >"$unmet"
  fi
  torch=${CCMIM_TORCH:-}
  if [[ -z $torch ]] && grep -q '^torch==' "$unmet"; then
    torch=$(grep -E '^torch(vision)?==' "$requirements/runtime.txt" | tr '\n' ' ')
  elif [[ -z $torch ]]; then
    torch=$(grep '^torchvision==' "$unmet" || true) # the one that goes with this torch
  fi
  if [[ -n $torch ]]; then need_torch "$torch"; fi
  if [[ -n ${CCMIM_TORCH:-} && -z ${CCMIM_PYTHON:-} ]]; then
    printf '%s\n' "$CCMIM_TORCH" >"$remembered"
  fi
  # With pip's own environment for each build: mmcv compiles where it finds torch.
  if grep -vE '^torch(vision)?==' "$unmet" >"$rest"; then
    step 'installing the other requirements (up to 0.4 GB to fetch)' requirements \
      env -u PIP_NO_BUILD_ISOLATION "$python" -m pip install -r "$rest"
  fi
  mend_opencv
  mend_mmcv
  if [[ $compiled == yes && $(state) != *compiled ]]; then compile_ops; fi
  say 'checking that all of it works'
  "$python" "$ccmim_root/tools/check_env.py" >"$logs/check.log" ||
    die "$(grep -m 1 -A 1 '^X' "$logs/check.log" | tr -s ' \n' ' ')"
  printf '%s\n' "$fingerprint $(state) $kind" >"$prefix/.ccmim-installed"
  say "ready after $(clock "$SECONDS"): $python"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main "$@"; fi
