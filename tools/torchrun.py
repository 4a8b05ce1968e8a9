"""Start the processes of tools/dist_train.sh and tools/dist_test.sh, as torchrun does.

Ends with the exit code of the process that failed first, where torchrun ends with 1,
and without a traceback of its own, below which that process's message would be lost.
Processes that a signal stops have ten minutes to end a step and save it, not 30 s.
"""

import signal
import sys

from torch.distributed.elastic.multiprocessing.api import PContext, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

TIME_TO_SAVE = 600  # seconds


def patient_close(
    context: PContext, death_sig: signal.Signals | None = None, timeout: int = 30
) -> None:
    """End processes as torchrun does, later if they are stopped by a signal.

    Where another process has failed there is none; then they may wait for it in vain.
    """
    _close(context, death_sig, TIME_TO_SAVE if death_sig else timeout)


_close = PContext.close

if __name__ == '__main__':
    PContext.close = patient_close
    try:
        main()
    except SignalException as error:
        sys.exit(128 + error.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode > 0:
            sys.exit(failure.exitcode)
        name = failure.signal_name()
        hint = ', often by the system when memory is short' * (name == 'SIGKILL')
        print(f'error: process {rank} was ended by {name}{hint}', file=sys.stderr)
        sys.exit(128 - failure.exitcode)
