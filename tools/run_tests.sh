#!/usr/bin/env bash
# Installs what is missing, then lints and tests the checkout.
#
#   bash tools/run_tests.sh [--all] [options of pytest]
#
# Without --all the slow tests are left out, and counted at the end: whole chains, many
# cases of what one shows, other programs. Each room's contract and each method's parity
# is in what remains. CCMIM_DATA is the folder of the real data sets;
# tests that need one of them are skipped without it.
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

selection=(-m 'not slow')
options=()
for option in "$@"; do
  if [[ $option == --all ]]; then selection=(); else options+=("$option"); fi
done

bash "$ccmim_root/tools/install.sh" --tests

# What was given relative to here must hold in the checkout as well.
if [[ -n ${CCMIM_DATA:-} ]]; then
  CCMIM_DATA=$(realpath "$CCMIM_DATA")
  export CCMIM_DATA
fi
if [[ ${CCMIM_PYTHON:-} == */* ]]; then
  CCMIM_PYTHON=$(realpath --no-symlinks "$CCMIM_PYTHON")
  export CCMIM_PYTHON
fi
cd "$ccmim_root"
python=$(ccmim_python)

# The models of the tests are small: a core each for several tests at a time is faster
# than threads that wait for each other. Tests of one file stay together, in the order
# of tests/conftest.py.
cores=$(nproc)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
options=(-n "$((cores < 4 ? cores : 4))" --dist loadfile --no-loadscope-reorder
  "${options[@]}")
export MPLBACKEND=${MPLBACKEND:-Agg}
# Many tests start processes: each would compile the whole package, half a second.
unset PYTHONDONTWRITEBYTECODE

"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" tools/check_env.py --tests

code=0
"$python" -m pytest "${selection[@]}" "${options[@]}" || code=$?
if [[ ${selection[*]} ]]; then
  echo 'run_tests: slow tests were left out; --all runs them as well'
fi
if ((code == 5)); then echo 'run_tests: no test fits these options' >&2; fi
exit "$code"
