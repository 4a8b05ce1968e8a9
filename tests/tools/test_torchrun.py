"""Processes that are stopped have time to save, in whatever way torch ends them."""

import signal

import pytest
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing.api import PContext


class Processes(PContext):
    """None at all, which note how long they would be waited for."""

    def __init__(self):
        self._tail_logs, self.filtered_stdout, self.filtered_stderr = [], None, None
        self._stdout_tail = self._stderr_tail = None  # before torch 2.11
        self.waits = []

    def _start(self):
        pass

    def _poll(self):
        pass

    def pids(self):
        return {}

    def _close(self, death_sig, timeout=30):
        self.waits.append((death_sig, timeout))


@pytest.fixture
def processes(request, monkeypatch):
    monkeypatch.syspath_prepend(request.config.rootpath / 'tools')
    import torchrun

    monkeypatch.setattr(PContext, 'close', torchrun.patient_close)
    return Processes()


def test_a_signal_leaves_ten_minutes(processes):
    """Through the agent, which passes the signal on."""
    agent = LocalElasticAgent.__new__(LocalElasticAgent)
    agent._worker_watchdog = agent._health_check_server = agent._rdzv_handler = None
    agent._pcontext = processes
    agent._shutdown(signal.SIGTERM)
    agent._shutdown(signal.SIGINT)
    assert processes.waits == [(signal.SIGTERM, 600), (signal.SIGINT, 600)]


def test_a_failure_of_another_process_leaves_what_torch_does(processes):
    processes.close()
    assert processes.waits == [(signal.SIGTERM, 30)]
