#!/usr/bin/env bash
# Measures and checks all that needs a GPU: at most 8 minutes, one folder.
#
#   bash tools/gpu.sh [FOLDER] [CLONES]
#
# Losses of every method on the GPU against those on the CPU, the tests marked gpu, and
# the tables of docs/speed.md beside the published code that CLONES holds. FOLDER
# (work_dirs/gpu) has a log of each step and summary.txt. Without a GPU the same steps
# run at small sizes, which shows that they run. Exit code: 1 if a step failed.
set -uo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

out=$(realpath -m "${1:-work_dirs/gpu}")
peers=()
if [[ -n ${2:-} ]]; then peers=(--peers "$(realpath "$2")"); fi
cd "$ccmim_root" || exit 2
python=$(ccmim_python)
mkdir -p "$out" || exit 2
: >"$out/summary.txt"
failed=0

# Runs a step in its share of the time: step NAME SECONDS COMMAND ...
step() {
  local name=$1 seconds=$2 begun=$SECONDS code=0
  shift 2
  printf '== %s\n' "$name"
  timeout -k 10 "$seconds" "$@" 2>&1 | tee "$out/$name.log" || code=$?
  local said=done
  if ((code)); then said="FAILED ($code)" failed=1; fi
  printf '%-10s %4d s  %s\n' "$name" $((SECONDS - begun)) "$said" >>"$out/summary.txt"
}

nvidia-smi >"$out/nvidia-smi.txt" 2>&1
mapfile -t tests < <(grep -rl 'mark\.gpu' tests --include='*.py')
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  marked=gpu
  limits=(120 180 90 90)
  exact=(--methods ccmim mae hpm --sizes s b l --batch-sizes 256 --rounds 3 --steps 6)
  exact+=(--levels step trainer)
  cheap=(--methods ccmim --sizes b --precisions bf16 --batch-sizes 256 --rounds 3 --steps 6)
  cheap+=(--options score3 cross cached masks2 progressive)
  dense=(--precisions bf16 --variants plain channels_last --rounds 3 --steps 5)
else
  echo 'no GPU: the same steps at small sizes'
  marked='not slow'
  limits=(600 600 600 600)
  exact=(--methods ccmim mae --sizes s --batch-sizes 2 --rounds 1 --steps 1)
  cheap=(--methods ccmim --sizes s --precisions bf16 --batch-sizes 2 --rounds 1)
  cheap+=(--steps 3 --options score3 progressive)
  dense=(mm_configs/small/upernet_vitt_camvid.py --precisions bf16 --rounds 1 --side 64)
fi

step tests "${limits[0]}" "$python" -m pytest -q -m "$marked" "${tests[@]}"
step exact "${limits[1]}" \
  "$python" tools/benchmark.py "${exact[@]}" "${peers[@]}" --out "$out/exact"
step cheaper "${limits[2]}" "$python" tools/benchmark.py "${cheap[@]}" --out "$out/cheaper"
step dense "${limits[3]}" "$python" tools/benchmark_dense.py "${dense[@]}" --out "$out/dense"

cat "$out/summary.txt"
exit "$failed"
