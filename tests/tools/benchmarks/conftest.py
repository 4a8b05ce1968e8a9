"""The benchmarks run in the process of the tests, as if there were no GPU."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

TOOLS = Path(__file__).parents[3] / 'tools'


@pytest.fixture
def command(request, monkeypatch):
    """Run the module's TOOL with a command line; gives its exit code."""
    main = runpy.run_path(str(TOOLS / request.module.TOOL))['main']
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [request.module.TOOL, *map(str, arguments)])
        return main()

    return run
