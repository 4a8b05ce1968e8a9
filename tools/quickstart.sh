#!/usr/bin/env bash
# Installs what is needed and runs the whole chain on built-in toy scenes: pretraining by
# MAE and ccMIM, then a detector and a segmenter from each and from scratch with few
# labels, and the nearest patches, which train nothing; one table, one page.
#
#   bash tools/quickstart.sh                 about ten CPU minutes, after install
#   bash tools/quickstart.sh --fast          about a minute: does everything work?
#   bash tools/quickstart.sh --full          larger scenes, 300 of them annotated
#   bash tools/quickstart.sh --seeds 0 1 2   everything three times: means and spreads
#   bash tools/quickstart.sh --images DIR    pretrain on photos of your own instead
#
# It can be interrupted and run again. All results go to work_dirs/quickstart.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case " $* " in
*' -h '* | *' --help '*) sed -n '2,13s/^# \{0,1\}//p' "$0" && exit ;;
esac
bash "$here/install.sh"
# shellcheck source=tools/common.sh
source "$here/common.sh"
PYTHONPATH="$ccmim_root${PYTHONPATH:+:$PYTHONPATH}" \
  exec "$(ccmim_python)" "$here/quickstart.py" "$@"
