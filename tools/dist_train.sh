#!/usr/bin/env bash
# Trains a config in several processes of one or more machines (torchrun).
#
#   bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
#
# NNODES, NODE_RANK, MASTER_ADDR and PORT are honoured; the port is a free one on a
# single machine and 29500 on several. RDZV_TIMEOUT is for how many seconds machines wait
# for each other at the start (600). Without a GPU, GPUS processes run on the CPU.
# MAX_RESTARTS=N starts lost processes again, up to N times, from the newest checkpoint
# of the work dir, as --resume does.
set -euo pipefail
if (($# < 2)); then
  echo "usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]" >&2
  exit 2
fi
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ccmim_launch "$2" "$ccmim_root/tools/train.py" "$1" --launcher pytorch "${@:3}"
