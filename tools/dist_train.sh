#!/usr/bin/env bash
# Trains a config in several processes of one or more machines (torchrun).
#
#   bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
#
# NNODES, NODE_RANK, MASTER_ADDR and PORT are honoured; the port is a free one on a
# single machine and 29500 on several. Without a GPU, GPUS processes run on the CPU.
set -euo pipefail
if (($# < 2)); then
  echo "usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]" >&2
  exit 2
fi
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ccmim_launch "$2" "$ccmim_root/tools/train.py" "$1" --launcher pytorch "${@:3}"
