#!/usr/bin/env bash
# Installs what is needed and runs the whole chain on built-in toy scenes: ccMIM
# pretraining, Mask R-CNN and UperNet from it and from scratch, one table, one report.
#
#   bash tools/quickstart.sh                 about nine minutes on two cores, after install
#   bash tools/quickstart.sh --fast          about two minutes: does everything work?
#   bash tools/quickstart.sh --images DIR    pretrain on photos of your own instead
#
# It can be interrupted and run again. All results go to work_dirs/quickstart.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case " $* " in
*' -h '* | *' --help '*) sed -n '2,9s/^# \{0,1\}//p' "$0" && exit ;;
esac
bash "$here/install.sh"
# shellcheck source=tools/common.sh
source "$here/common.sh"
PYTHONPATH="$ccmim_root${PYTHONPATH:+:$PYTHONPATH}" \
  exec "$(ccmim_python)" "$here/quickstart.py" "$@"
