#!/usr/bin/env bash
# Trains a config under Slurm.
#
#   bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR] [train.py options]
#
# GPUS (8), GPUS_PER_NODE (GPUS, at most 8), CPUS_PER_TASK (5), SRUN_ARGS, PORT and GRES
# are honoured. GPUs are asked for where the partition has some; GRES=none asks for none,
# and GRES=gpu:a100:4 for these. Without a GPU, GPUS processes run on the CPU.
set -euo pipefail
if (($# < 3)); then
  echo "usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR]" \
    "[options of tools/train.py]" >&2
  exit 2
fi
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

partition=$1 job=$2 config=$3
shift 3
work_dir=()
if (($# > 0)) && [[ $1 != -* ]]; then
  work_dir=(--work-dir "$1")
  shift
fi
ccmim_srun "$partition" "$job" "$ccmim_root/tools/train.py" "$config" \
  "${work_dir[@]}" "$@"
