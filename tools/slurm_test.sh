#!/usr/bin/env bash
# Tests a checkpoint under Slurm.
#
#   bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [test.py options]
#
# GPUS (8), GPUS_PER_NODE (GPUS, at most 8), CPUS_PER_TASK (5), SRUN_ARGS, PORT and GRES
# are honoured. GPUs are asked for where the partition has some; GRES=none asks for none,
# and GRES=gpu:a100:4 for these. Without a GPU, GPUS processes run on the CPU.
set -euo pipefail
if (($# < 4)); then
  echo "usage: bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT" \
    "[options of tools/test.py]" >&2
  exit 2
fi
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ccmim_srun "$1" "$2" "$ccmim_root/tools/test.py" "$3" "$4" "${@:5}"
