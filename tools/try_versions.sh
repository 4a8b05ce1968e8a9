#!/usr/bin/env bash
# Installs ccmim with other versions of what it stands on and tries each set: the fast
# tests, and two training steps of Mask R-CNN and of UperNet. Writes docs/versions.md.
#
#   bash tools/try_versions.sh [--quick] [PYTHON/TORCH/NUMPY[/original] ...]
#
# --quick   only the tests in the folders named by `few` below.
# original  OpenMMLab's own distributions in place of the onedl ones.
# Without any, all the sets below are tried. Each environment takes up to 7 GB in the
# folder CCMIM_ENVS (that of temporary files) and is removed afterwards.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
page=$root/docs/versions.md
sets=(
  3.10/2.6.0/2.2.6 3.10/2.6.0/1.26.4/original 3.11/2.6.0/2.2.6 3.11/2.11.0/2.2.6
  3.11/2.14.1/2.2.6 3.12/2.6.0/2.2.6 3.12/2.14.1/2.4.6 3.13/2.6.0/2.2.6
  3.13/2.14.1/2.4.6
)
few=(tests/operators tests/dense tests/vit tests/checkpoints)
originals=(mmengine==0.10.7 mmcv-lite==2.1.0 mmdet==3.3.0 mmsegmentation==1.2.2)

# find_python 3.12: that Python, on the path or of pyenv.
find_python() {
  local candidate
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    if "$candidate" -c 'import ensurepip' 2>/dev/null; then
      printf '%s\n' "$candidate" && return
    fi
  done
  return 1
}

# What pip is given for a set, besides the versions in $work/pins.txt.
install() {
  local pip=("$python" -m pip install -c "$work/pins.txt")
  if [[ $names == onedl ]]; then
    "${pip[@]}" torch torchvision numpy && "${pip[@]}" -e "$root[dense,tests]"
    return
  fi
  # mmcv without its operators has a name of its own; theirs are not those of our
  # requirements, and their builds want pkg_resources.
  "${pip[@]}" torch torchvision numpy 'setuptools>=77' wheel &&
    PIP_CONSTRAINT=$work/pins.txt "${pip[@]}" "${originals[@]}" &&
    "${pip[@]}" --no-build-isolation --no-deps -e "$root" &&
    "$python" -c 'if True:
      from importlib import metadata
      skipped = ("onedl", "torch>", "torchvision>", "numpy", "setuptools")
      for line in metadata.requires("ccmim"):
          if not line.startswith(skipped):
              print(line.partition(";")[0])' >"$work/rest.txt" &&
    "${pip[@]}" -r "$work/rest.txt"
}

# outcome LOG COMMAND...: yes, or what went wrong in short.
outcome() {
  local log=$work/$1.log
  shift
  if (cd "$work" && OMP_NUM_THREADS=1 MPLBACKEND=Agg "$@") >"$log" 2>&1; then
    echo yes
  else
    { grep -m 1 -E '^(ERROR|error)' "$log" || grep -v '^ *$' "$log" | tail -n 1; } |
      tr '|' '/' | cut -c 1-120
  fi
}

# train CONFIG: two steps on toy scenes.
train() {
  outcome "$1" "$python" "$root/tools/train.py" "$root/mm_configs/demo/$1.py" \
    --work-dir "$work/$1" --cfg-options train_cfg.max_iters=2 train_cfg.val_interval=2 \
    train_dataloader.batch_size=2
}

run_tests() {
  cd "$root"
  OMP_NUM_THREADS=1 MPLBACKEND=Agg "$python" -m pytest -q -m 'not slow' -n "$(nproc)" \
    --dist loadfile -p no:cacheprovider "${tests[@]}"
}

# write_row KEY REST: one row of each set, sorted.
write_row() {
  local rows
  rows=$({ grep '^| [0-9]' "$page" || true; } | { grep -vF "$1" || true; })
  sed -i '/^| [0-9]/d' "$page"
  printf '%s\n' "$rows" "$1$2" | grep . | sort -V >>"$page"
}

try() {
  local version torch numpy names base minor installs passed=- mask=- upernet=- vision=-
  IFS=/ read -r version torch numpy names <<<"$1"
  names=${names:-onedl}
  base=$(find_python "$version") || { echo "$1: there is no Python $version" && return; }
  work=$(mktemp -d "${CCMIM_ENVS:-${TMPDIR:-/tmp}}/ccmim-versions.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  "$base" -m venv "$work/env"
  python=$work/env/bin/python
  IFS=. read -r _ minor _ <<<"$torch"
  printf '%s\n' "torch==$torch" "torchvision==0.$((minor + 15)).*" "numpy==$numpy" \
    'setuptools<81' >"$work/pins.txt"
  echo "$1: installing"
  installs=$(outcome install install)
  if [[ $installs == yes ]]; then
    vision=$("$python" -c 'import importlib.metadata as m; print(m.version("torchvision"))')
    "$python" "$root/tools/check_env.py" || true
    outcome scenes "$python" "$root/tools/make_toy_scenes.py" work_dirs/toy_scenes \
      --train 8 --val 2 >/dev/null
    mask=$(train mask_rcnn_toy)
    upernet=$(train upernet_toy)
    echo "$1: Mask R-CNN $mask, UperNet $upernet; testing"
    (run_tests) >"$work/tests.log" 2>&1 || grep -E '^(FAILED|ERROR)' "$work/tests.log" || true
    passed=$quick$(tail -n 1 "$work/tests.log" | sed 's/, [0-9]* warnings*//; s/ in .*//')
  fi
  write_row "| $version | $torch | $numpy | $names |" \
    " ${vision%%+*} | $installs | $passed | $mask | $upernet | $(date +%F), $(uname -sm) |"
  rm -rf "$work"
  echo "$1: installs: $installs; $passed"
}

tests=() quick=''
if [[ ${1:-} == --quick ]]; then tests=("${few[@]}") quick='quick: ' && shift; fi
if (($#)); then sets=("$@"); fi
for name in "${sets[@]}"; do try "$name"; done
