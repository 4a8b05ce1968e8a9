# Sourced by the other scripts: where the checkout is and which Python runs it.
# shellcheck shell=bash

ccmim_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Prints the interpreter: CCMIM_PYTHON, else .venv of the checkout, else python.
ccmim_python() {
  if [[ -n ${CCMIM_PYTHON:-} ]]; then
    printf '%s\n' "$CCMIM_PYTHON"
  elif [[ -x $ccmim_root/.venv/bin/python ]]; then
    printf '%s\n' "$ccmim_root/.venv/bin/python"
  else
    command -v python || command -v python3 || printf 'python\n'
  fi
}

# Prints the Slurm or torchrun port: PORT, else one that is free on this machine.
ccmim_port() {
  if [[ -n ${PORT:-} ]]; then
    printf '%s\n' "$PORT"
  else
    "$(ccmim_python)" -c \
      'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
  fi
}

# Tells whether the processes can meet at a port of this machine: ccmim_port_is_free PORT.
ccmim_port_is_free() {
  "$(ccmim_python)" -c 'if True:
    import socket, sys
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", int(sys.argv[1])))' "$1" 2>/dev/null
}

# Runs a script of the checkout in one process for each GPU, or on CPU cores when
# there is no GPU: ccmim_launch GPUS SCRIPT [ARGUMENTS].
ccmim_launch() {
  local processes=$1 nodes=${NNODES:-1} node=${NODE_RANK:-0} python port gpus cores
  local restarts=${MAX_RESTARTS:-0} seconds=${RDZV_TIMEOUT:-600} name
  local -a meeting
  shift
  if [[ ! $processes =~ ^[1-9][0-9]*$ ]]; then
    echo "GPUS must be a whole number of processes, not '$processes'" >&2
    return 2
  fi
  for name in nodes node restarts seconds; do
    if [[ ! ${!name} =~ ^[0-9]+$ ]]; then
      echo "NNODES=$nodes, NODE_RANK=$node, MAX_RESTARTS=$restarts and" \
        "RDZV_TIMEOUT=$seconds must be whole numbers" >&2
      return 2
    fi
  done
  if ((node >= nodes)); then
    echo "NODE_RANK=$node must be below NNODES=$nodes: machines are counted from 0" >&2
    return 2
  fi
  if ((nodes > 1)) && [[ -z ${MASTER_ADDR:-} ]]; then
    echo "NNODES=$nodes needs MASTER_ADDR, on all machines: the address of machine 0" \
      'in the network of the others' >&2
    return 2
  fi
  python=$(ccmim_python)
  gpus=$("$python" -c 'import torch; print(torch.cuda.device_count())' 2>/dev/null) || {
    echo "$python has no working torch; run: bash tools/install.sh" >&2
    return 2
  }
  if ((gpus > 0 && processes > gpus)); then
    echo "$processes processes were asked for, but this machine shows $gpus GPUs;" \
      "give at most $gpus, or look at CUDA_VISIBLE_DEVICES" >&2
    return 2
  fi
  if ((gpus == 0)) && [[ -z ${OMP_NUM_THREADS:-} ]]; then
    # The processes share the cores: more threads than cores is slower than fewer.
    cores=$(nproc)
    export OMP_NUM_THREADS=$((cores > processes ? cores / processes : 1))
  fi
  # Several machines have to agree on the port, so there it cannot be any free one.
  if ((nodes > 1)); then port=${PORT:-29500}; else port=$(ccmim_port); fi
  # They meet on the first machine.
  if ((node == 0)) && ! ccmim_port_is_free "$port"; then
    echo "port $port of this machine is in use or no port: set PORT to another one" >&2
    return 2
  fi
  # What the processes and torchrun.py look for.
  export RDZV_TIMEOUT=$seconds NNODES=$nodes NODE_RANK=$node
  export MASTER_ADDR=${MASTER_ADDR:-127.0.0.1} MASTER_PORT=$port
  if ((restarts > 0)); then
    # The hosts meet anew after each loss, in a store that process 0 begins afresh.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    meeting=(
      --max_restarts="$restarts"
      --rdzv_backend=c10d
      --rdzv_id="ccmim-$port"
      --rdzv_endpoint="$MASTER_ADDR:$port"
      --rdzv_conf="is_host=$((node == 0)),join_timeout=$seconds,read_timeout=$seconds"
    )
  else
    meeting=(
      --node_rank="$node"
      --master_addr="$MASTER_ADDR"
      --master_port="$port"
      --rdzv_conf="timeout=$seconds"
    )
  fi
  PYTHONPATH="$ccmim_root${PYTHONPATH:+:$PYTHONPATH}" exec "$python" \
    "$ccmim_root/tools/torchrun.py" \
    --nnodes="$nodes" \
    --nproc_per_node="$processes" \
    "${meeting[@]}" \
    "$@"
}

# Prints what to ask of a partition for each node, as an option of srun: GRES, or GPUs
# where sinfo shows some: ccmim_gres PARTITION GPUS_PER_NODE.
ccmim_gres() {
  local gres=${GRES:-}
  if [[ -z $gres ]] && sinfo --noheader --partition="$1" --format=%G | grep -q gpu; then
    gres=gpu:$2
  fi
  if [[ -n $gres && $gres != none ]]; then printf '%s\n' "--gres=$gres"; fi
}

# Runs a script of the checkout under srun, with OpenMMLab's variables:
# ccmim_srun PARTITION JOB_NAME SCRIPT [ARGUMENTS].
ccmim_srun() {
  local partition=$1 job=$2 gpus=${GPUS:-8} per_node gres
  shift 2
  if ! command -v srun >/dev/null; then
    echo 'srun was not found: this machine is no part of a Slurm cluster;' \
      'use tools/dist_train.sh or tools/dist_test.sh' >&2
    return 2
  fi
  per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
  gres=$(ccmim_gres "$partition" "$per_node")
  if [[ -z $gres ]]; then
    # Processes on the CPU: each has the cores that it asked for.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${CPUS_PER_TASK:-5}}
  fi
  # Drawn here, once: all tasks of the job inherit it, and two jobs on a node differ.
  export MASTER_PORT=${PORT:-$((20000 + RANDOM % 10000))}
  export PYTHONPATH="$ccmim_root${PYTHONPATH:+:$PYTHONPATH}"
  # SRUN_ARGS holds several words on purpose.
  # shellcheck disable=SC2086
  exec srun \
    -p "$partition" \
    --job-name="$job" \
    ${gres:+"$gres"} \
    --ntasks="$gpus" \
    --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "$(ccmim_python)" -u "$@" --launcher slurm
}
