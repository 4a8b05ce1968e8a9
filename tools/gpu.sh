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
rounds=(--rounds 3 --steps 3 --warmup 3)
options=(score3 cross cached masks2 progressive)
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  marked=gpu
  # Eight minutes in all. A step of every row of ViT-S and B, published ones with them,
  # is about 1e14 operations for 128 images, half of them in float32 without TF32.
  limits=(70 170 100 60 80)
  exact=(--methods ccmim mae hpm --sizes s b --precisions fp32 bf16 --batch-sizes 128)
  exact+=(--levels step trainer)
  large=(--methods ccmim mae hpm --sizes l --precisions bf16 --batch-sizes 128)
  cheap=(--methods ccmim --sizes s b --precisions bf16 --batch-sizes 128)
  dense=(--precisions bf16 --variants plain channels_last --rounds 3 --steps 5)
else
  echo 'no GPU: the same steps at small sizes'
  marked='not slow'
  limits=(600 600 600 600 600)
  rounds=(--rounds 1 --steps 3 --warmup 1)
  exact=(--methods ccmim mae hpm --sizes s --precisions bf16 --batch-sizes 2)
  exact+=(--levels step trainer)
  large=(--methods mae --sizes s --precisions fp32 --batch-sizes 1)
  cheap=(--methods ccmim --sizes s --precisions bf16 --batch-sizes 2)
  dense=(mm_configs/small/upernet_vitt_camvid.py --precisions bf16 --rounds 1 --side 64)
fi

step tests "${limits[0]}" "$python" -m pytest -q -m "$marked" "${tests[@]}"
step exact "${limits[1]}" "$python" tools/benchmark.py \
  "${exact[@]}" "${rounds[@]}" "${peers[@]}" --out "$out/exact"
step large "${limits[2]}" "$python" tools/benchmark.py \
  "${large[@]}" "${rounds[@]}" "${peers[@]}" --out "$out/large"
step cheaper "${limits[3]}" "$python" tools/benchmark.py \
  "${cheap[@]}" "${rounds[@]}" --options "${options[@]}" --out "$out/cheaper"
step dense "${limits[4]}" "$python" tools/benchmark_dense.py "${dense[@]}" --out "$out/dense"

cat "$out/summary.txt"
exit "$failed"
