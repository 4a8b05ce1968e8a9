"""The benchmarks run in the process of the tests, as if there were no GPU."""

import runpy
import sys

import pytest
import torch


@pytest.fixture
def command(request, monkeypatch):
    """Run the module's TOOL with a command line; gives its exit code."""
    file = request.config.rootpath / 'tools' / request.module.TOOL
    main = runpy.run_path(str(file))['main']
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [request.module.TOOL, *map(str, arguments)])
        return main()

    return run
