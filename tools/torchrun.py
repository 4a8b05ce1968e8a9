"""Start the processes of tools/dist_train.sh and tools/dist_test.sh, as torchrun does.

Ends with the exit code of the process that failed first, where torchrun ends with 1,
and without a traceback of its own, below which that process's message would be lost.
"""

import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

if __name__ == '__main__':
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
