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
  local processes=$1 nodes=${NNODES:-1} python port gpus cores
  shift
  if [[ ! $processes =~ ^[1-9][0-9]*$ ]]; then
    echo "GPUS must be a whole number of processes, not '$processes'" >&2
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
  if ((${NODE_RANK:-0} == 0)) && ! ccmim_port_is_free "$port"; then
    echo "port $port of this machine is in use or no port: set PORT to another one" >&2
    return 2
  fi
  PYTHONPATH="$ccmim_root${PYTHONPATH:+:$PYTHONPATH}" exec "$python" \
    "$ccmim_root/tools/torchrun.py" \
    --nnodes="$nodes" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="$port" \
    --nproc_per_node="$processes" \
    "$@"
}

# Runs a script of the checkout under srun, with OpenMMLab's variables:
# ccmim_srun PARTITION JOB_NAME SCRIPT [ARGUMENTS].
ccmim_srun() {
  local partition=$1 job=$2 gpus=${GPUS:-8} per_node
  shift 2
  per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
  # Drawn here, once: all tasks of the job inherit it, and two jobs on a node differ.
  export MASTER_PORT=${PORT:-$((20000 + RANDOM % 10000))}
  export PYTHONPATH="$ccmim_root${PYTHONPATH:+:$PYTHONPATH}"
  # SRUN_ARGS holds several words on purpose.
  # shellcheck disable=SC2086
  exec srun \
    -p "$partition" \
    --job-name="$job" \
    --gres="gpu:$per_node" \
    --ntasks="$gpus" \
    --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "$(ccmim_python)" -u "$@" --launcher slurm
}
