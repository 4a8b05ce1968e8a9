"""Run a training tool that stops every few steps, until it is told to continue.

    python paused.py STEPS REPORTS ORDERS tools/train.py CONFIG ...

REPORTS and ORDERS are numbers of open pipes. After each STEPS steps the CPU seconds of
the process and its loader workers, and the last loss, are written to the one; a byte
from the other continues, its end ends the process.
"""

import multiprocessing
import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

from mmengine.runner import Runner

_TICKS = os.sysconf('SC_CLK_TCK')


def cpu_seconds() -> float:
    """Add up the CPU time of this process and its children, ended ones included."""
    ended = os.times()
    total = time.process_time() + ended.children_user + ended.children_system
    for child in multiprocessing.active_children():
        stat = Path(f'/proc/{child.pid}/stat').read_text().rsplit(')', 1)[1].split()
        total += (int(stat[11]) + int(stat[12])) / _TICKS  # in user and kernel mode
    return total


def main() -> None:
    """Run the tool, in whatever tree is the folder at hand."""
    steps, reports, orders = map(int, sys.argv[1:4])
    sys.argv = sys.argv[4:]
    taken = 0
    call_hook = Runner.call_hook

    def paused(self: Runner, fn_name: str, **kwargs: Any) -> None:
        nonlocal taken
        call_hook(self, fn_name, **kwargs)
        if fn_name != 'after_train_iter':
            return
        taken += 1
        if taken % steps == 0:
            loss = float(kwargs['outputs']['loss'])
            os.write(reports, f'{cpu_seconds()} {loss}\n'.encode())
            if not os.read(orders, 1):
                os._exit(0)

    Runner.call_hook = paused
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name='__main__')


if __name__ == '__main__':
    main()
