#!/usr/bin/env bash
# Tests a checkpoint in several processes of one or more machines (torchrun).
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
#
# NNODES, NODE_RANK, MASTER_ADDR and PORT are honoured; the port is a free one on a
# single machine and 29500 on several. RDZV_TIMEOUT is for how many seconds machines wait
# for each other at the start (600). Without a GPU, GPUS processes run on the CPU.
set -euo pipefail
if (($# < 3)); then
  echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS" \
    "[options of tools/test.py]" >&2
  exit 2
fi
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ccmim_launch "$3" "$ccmim_root/tools/test.py" "$1" "$2" --launcher pytorch "${@:4}"
