"""Run scripts in forks of this process, to import the libraries only once."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from ccmim.files import open_own


class Copy:
    """A fork that runs a script: the part of ``subprocess.Popen`` that stages need.

    This process must have started no threads of OpenMP and no GPU, neither of which
    survives a fork: call ``torch.set_num_threads(1)`` before all else.

    Args:
        command: A Python script, below ``cwd``, and its arguments.
        cwd: Where it runs.
        env: Its environment; ``OMP_NUM_THREADS`` says how many threads it has.
        log: File for what it prints.
    """

    def __init__(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path
    ) -> None:
        context = multiprocessing.get_context('fork')
        self._process = context.Process(target=_run, args=(command, cwd, env, log))
        sys.stdout.flush()
        sys.stderr.flush()
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs, and -N if signal N has ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def wait(self, timeout: float) -> None:
        """Wait until it has ended.

        Raises:
            subprocess.TimeoutExpired: If it runs on.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired('copy', timeout)


def _run(command: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path) -> None:
    with open(log, 'w', opener=open_own) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = open(1, 'w', buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, 'w', buffering=1, closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent's is for itself
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    torch.set_num_threads(int(env['OMP_NUM_THREADS']))
    warnings.simplefilter('ignore')
    sys.argv = list(command)
    runpy.run_path(str(cwd / command[0]), run_name='__main__')
