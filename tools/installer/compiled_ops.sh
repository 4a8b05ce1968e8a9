# Sourced by tools/install.sh: mmcv with operators of its own, for --compiled-ops.
# Uses `$python` and `$mmcv` (the pinned requirement).
# shellcheck shell=bash disable=SC2154

# What mmcv was compiled with: from torch 2.14 on, the headers want C++20.
compiles_with='torch==2.11.0 torchvision==0.26.0'

need_compiler() {
  local headers
  printf '#include <vector>\nint main() {}\n' |
    "${CXX:-c++}" -x c++ -fsyntax-only - 2>/dev/null ||
    die "no C++ compiler works (${CXX:-c++}); run: apt-get install g++, or leave out" \
      '--compiled-ops: Mask R-CNN and UperNet do not need it'
  headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [[ -e $headers/Python.h ]] ||
    die "$headers/Python.h is missing; run: apt-get install $(package "$python")-dev"
}

# Leaves a mmcv with operators that have been compiled for this torch and run.
compile_ops() {
  local settings=(FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=) device=cpu jobs memory site headers
  need_compiler
  "$python" -c 'import torch; v = torch.__version__.split("."); exit(int(v[1]) > 13)' ||
    die "mmcv cannot be compiled for this torch; set CCMIM_TORCH='$compiles_with'"
  # A compiler takes up to 2 GB; with nvcc beside it, 4 GB.
  memory=$(awk '/MemAvailable/ {print int($2 / 2097152)}' /proc/meminfo)
  if "$python" -c 'import torch; exit(not torch.cuda.is_available())'; then
    "$python" -c 'from torch.utils.cpp_extension import CUDA_HOME as H; exit(not H)' ||
      die 'no nvcc was found; install the CUDA toolkit that torch is built for, or' \
        "leave out --compiled-ops: torchvision's operators run on the GPU"
    # torch's CUDA wheels bring headers that a small toolkit lacks.
    site=$("$python" -c 'import os, torch; print(os.path.dirname(torch.__path__[0]))')
    headers=("$site"/nvidia/*/include)
    settings=(FORCE_CUDA=1 CPATH="$(IFS=:; echo "${headers[*]}")${CPATH:+:$CPATH}")
    device=cuda memory=$((memory / 2))
  fi
  jobs=$((memory < $(nproc) ? memory : $(nproc)))
  step 'installing what the build needs' ninja pip ninja psutil wheel
  # Past the cache of pip, which does not know of the operators.
  step "compiling mmcv's operators (10 minutes on two fast cores, 50 on slow ones)" \
    build env "${settings[@]}" MMCV_WITH_OPS=1 \
    MAX_JOBS="${MAX_JOBS:-$((jobs > 1 ? jobs : 1))}" \
    PATH="$(dirname "$(command -v "$python")"):$PATH" \
    "$python" -m pip install -v --no-build-isolation --no-deps --no-cache-dir \
    --force-reinstall --no-binary "${mmcv%%==*}" "$mmcv"
  CCMIM_OPS=mmcv "$python" "$ccmim_root/tools/check_env.py" --ops "$device" \
    >"$logs/ops.log" 2>&1 || die "mmcv's operators do not work:" \
    "$(grep -m 1 '^X' "$logs/ops.log" || tail -n 1 "$logs/ops.log")"
}
