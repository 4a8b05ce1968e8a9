# Sourced by tools/install.sh: mmcv with its compiled ops, built once and kept.
# Uses `$python`, `$mmcv` (the pinned requirement), `$prefix`, `$cache` and `$logs`.
# shellcheck shell=bash disable=SC2154

need_compiler() {
  local headers
  printf '#include <vector>\nint main() {}\n' |
    "${CXX:-c++}" -x c++ -fsyntax-only - 2>/dev/null ||
    die "no C++ compiler works (${CXX:-c++}); run: apt-get install g++"
  headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [[ -e $headers/Python.h ]] ||
    die "$headers/Python.h is missing; run: apt-get install $(package "$python")-dev"
}

# Whether a build of this mmcv for this Python is kept, for whatever torch.
wheel_kept() {
  local tag
  tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  compgen -G "$cache/wheels/${mmcv/==/-}-*-$tag-*/*.whl" >/dev/null
}

# ops_fit NAME: whether the mmcv that is installed is that build, and its ops work.
# In an environment of the user's own, a mmcv with working ops is left alone.
ops_fit() {
  local built=''
  if [[ -f $prefix/.ccmim-ops ]]; then built=$(<"$prefix/.ccmim-ops"); fi
  if [[ -n $built || -z ${CCMIM_PYTHON:-} ]]; then
    [[ $built == "$1" ]] || return 1
  fi
  run_ops "$1"
}

# run_ops NAME: runs mmcv's ops on the kind of device that the build is for.
run_ops() {
  local device=cpu
  if [[ $1 == *-cuda* ]]; then device=cuda; fi
  "$python" "$ccmim_root/tools/check_env.py" --ops "$device" >"$logs/ops.log" 2>&1
}

# build_ops NAME FOLDER: builds the wheel and puts it into the folder.
build_ops() {
  local name=$1 folder=$2 settings jobs memory site headers
  need_compiler
  # A compiler takes up to 2 GB; with nvcc beside it, 4 GB.
  memory=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  if [[ $name == *-cuda* ]]; then
    # torch's CUDA wheels bring headers that a small toolkit lacks.
    site=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__path__[0]))')
    headers=("$site"/nvidia/*/include)
    settings=(FORCE_CUDA=1 CPATH="$(IFS=:; echo "${headers[*]}")${CPATH:+:$CPATH}")
    jobs=$((memory / 4))
  else
    settings=(FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=)
    jobs=$((memory / 2))
  fi
  jobs=$((jobs < $(nproc) ? jobs : $(nproc)))
  scratch=$(mktemp -d "$cache/building.XXXXXX")
  mkdir "$scratch/wheel"
  step "building mmcv's ops, once (about 10 minutes on two cores): $name" build \
    env "${settings[@]}" MMCV_WITH_OPS=1 MAX_JOBS="${MAX_JOBS:-$((jobs > 1 ? jobs : 1))}" \
    TMPDIR="$scratch" PATH="$(dirname "$(command -v "$python")"):$PATH" \
    "$python" -m pip wheel -v --no-build-isolation --no-deps --no-cache-dir \
    --no-binary "${mmcv%%==*}" --wheel-dir "$scratch/wheel" "$mmcv"
  "$python" -m zipfile -l "$scratch"/wheel/*.whl | grep 'mmcv/_ext' >/dev/null ||
    die "mmcv came out without its ops; the log is $logs/build.log"
  mkdir -p "$folder"
  mv -f "$scratch"/wheel/*.whl "$folder/"
  rm -rf "$scratch"
  scratch=''
}

# install_ops: leaves a mmcv whose ops have been run, and its name in `$ops`.
install_ops() {
  local folder fresh=no
  ops=$("$python" "$ccmim_root/tools/installer/ops_name.py" "$mmcv" 2>"$logs/ops.log") ||
    die "torch does not load in $python: $(tail -n 1 "$logs/ops.log")"
  if [[ -s $logs/ops.log ]]; then say "$(tail -n 1 "$logs/ops.log")"; fi
  if ops_fit "$ops"; then return; fi
  folder=$cache/wheels/$ops
  while true; do
    if ! compgen -G "$folder/*.whl" >/dev/null; then
      build_ops "$ops" "$folder"
      fresh=yes
    fi
    rm -f "$prefix/.ccmim-ops"
    step 'installing mmcv' mmcv pip --force-reinstall --no-deps "$folder"/*.whl
    if run_ops "$ops"; then break; fi
    # A kept wheel may be of another system: then it is built anew, once.
    rm -rf "$folder"
    [[ $fresh == no ]] || die "mmcv's ops do not work:" \
      "$(grep -m 1 '^X' "$logs/ops.log" || tail -n 1 "$logs/ops.log")"
  done
  printf '%s\n' "$ops" >"$prefix/.ccmim-ops"
}
