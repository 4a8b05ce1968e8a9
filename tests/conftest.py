"""Shared fixtures: a tiny network, seeded images, and a clean mmengine after each test.

The tiny network has 16 patches of 16 px, width 32, two blocks: a step takes
milliseconds and every branch of the real one is there.
"""

import copy
import functools
import gc
import multiprocessing
import os
import runpy
import signal
import sys
from collections import Counter

import huggingface_hub
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import runner
from mmengine.visualization import Visualizer
from PIL import Image
from yapf.yapflib import yapf_api

from ccmim.data.loader_errors import end_workers
from ccmim.registry import MODELS
from tests import tiny_methods

# A shell lets its background jobs ignore Ctrl-C, and a run leaves that as it is.
signal.signal(signal.SIGINT, signal.default_int_handler)
# In a job of Slurm, or under mpirun, runs would look for others.
for _name in list(os.environ):
    if _name.startswith(('SLURM_', 'OMPI_', 'PMI_')):
        del os.environ[_name]
# How the text of a config is laid out took half of each test that builds a Runner, and
# the versions of the environment are the same for all of them.
yapf_api.FormatCode = lambda text, **_: (text, True)
runner.collect_env = functools.cache(runner.collect_env)

TINY = dict(embed_dim=32, depth=2, num_heads=2)
TINY_VIT = dict(type='ccmim.VisionTransformer', arch=TINY, img_size=64)
TINY_DECODER = dict(type='ccmim.MAEDecoder', in_dim=32, embed_dim=16, depth=2)
TINY_MAE = dict(
    type='ccmim.MAE',
    backbone=TINY_VIT,
    scorer=dict(type='ccmim.ConstantScorer'),
    sampler=dict(type='ccmim.RandomSampler'),
    decoder=dict(TINY_DECODER, num_heads=2, img_size=64),
    reconstruction=dict(type='ccmim.PixelReconstruction'),
)
TINY_CCMIM = dict(
    TINY_MAE,
    type='ccmim.CCMIM',
    scorer=dict(type='ccmim.ClassAttentionScorer'),
    sampler=dict(type='ccmim.CCMIMSampler'),
    contrast=dict(type='ccmim.SingleViewContrast', in_dim=32, out_dim=8),
)


def _builder(config):
    def build(**changes):
        changed = Config(copy.deepcopy(config))
        changed.merge_from_dict(changes)
        return tiny_methods.unsettled(MODELS.build(changed._cfg_dict))

    return build


@pytest.fixture
def unsettled():
    """Make a function that moves what begins as 0 or 1 in a module, in place."""
    return tiny_methods.unsettled


@pytest.fixture
def builder():
    """Make a function that builds a config's model, with changed arguments if any."""
    return _builder


@pytest.fixture
def tiny_vit():
    """Build the tiny Vision Transformer, with changed arguments if any are given."""
    return _builder(TINY_VIT)


@pytest.fixture
def tiny_mae():
    """Build a tiny MAE, with changed arguments if any are given."""
    return _builder(TINY_MAE)


@pytest.fixture
def tiny_ccmim():
    """Build a tiny ccMIM, with changed arguments if any are given."""
    return _builder(TINY_CCMIM)


@pytest.fixture
def images():
    """Four images of shape (3, 64, 64), normalized noise."""
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def write_photos(root):
    """Write eight small JPEG photos of smooth noise, in two folders; their root."""
    rng = np.random.default_rng(0)
    for i in range(8):
        folder = root / f'part{i % 2}'
        folder.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((96, 80), Image.BICUBIC).save(
            folder / f'{i}.jpg', quality=95
        )
    return root


@pytest.fixture
def image_folder(tmp_path):
    """A folder of eight small photos, in two sub-folders."""
    return write_photos(tmp_path / 'photos')


@pytest.fixture
def run_tool(request, monkeypatch, capsys):
    """Run a script of tools/ in this process; its exit code, output and errors."""

    def run_tool(name, *words):
        script = str(request.config.rootpath / 'tools' / name)
        monkeypatch.setattr(sys, 'argv', [script, *map(str, words)])
        try:
            runpy.run_path(script, run_name='__main__')
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return run_tool


@pytest.fixture(autouse=True)
def _clean_slate():
    """Seed PyTorch before, and clear mmengine's global instances after each test."""
    torch.manual_seed(0)
    yield
    # A run that failed at its first batch; what is forked later would not end.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    for manager in (MessageHub, MMLogger, Visualizer, DefaultScope):
        manager._instance_dict.clear()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item):
    """End workers that a run left: whoever collects them waits 5 s for each."""
    if multiprocessing.active_children():
        end_workers()
        gc.collect()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with files of slow tests, then with long ones: none is left for the end."""
    count = Counter(item.path for item in items)
    slow = Counter(item.path for item in items if item.get_closest_marker('slow'))
    items.sort(key=lambda i: (-slow[i.path] / count[i.path], -count[i.path]))


LEFT_OUT = Counter()  # tests that are not run, by folder


def pytest_deselected(items):
    """Count what the options leave out."""
    files = (item.nodeid.partition('::')[0].split('/') for item in items)
    LEFT_OUT.update(parts[1] if parts[2:] else 'others' for parts in files)


def pytest_sessionfinish(session):
    """Hand the counts of a worker of pytest-xdist on: all of them collect all tests."""
    if hasattr(session.config, 'workeroutput'):
        session.config.workeroutput['left_out'] = dict(LEFT_OUT)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Take the counts of a worker."""
    LEFT_OUT.update(Counter(node.workeroutput.get('left_out', {})) - LEFT_OUT)


def pytest_terminal_summary(terminalreporter):
    """Say what was left out."""
    if LEFT_OUT:
        parts = ', '.join(f'{name} {n}' for name, n in LEFT_OUT.most_common())
        terminalreporter.write_line(f'{LEFT_OUT.total()} tests left out: {parts}')


def pytest_runtest_call():
    """Let the set-up's loggers write on: pytest has closed the stream they hold."""
    for logger in MMLogger._instance_dict.values():
        for handler in logger.handlers:
            if getattr(getattr(handler, 'stream', None), 'closed', False):
                handler.stream = sys.stdout  # setStream would flush the closed one


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """A cache of the hub without a network; makes a repository's folder in it."""
    monkeypatch.setattr(
        huggingface_hub.constants, 'HF_HUB_CACHE', str(tmp_path / 'hub')
    )
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)

    def make(repository):
        root = tmp_path / 'hub' / f'models--{repository.replace("/", "--")}'
        folder = root / 'snapshots' / 'a1'
        folder.mkdir(parents=True)
        (root / 'refs').mkdir()
        (root / 'refs' / 'main').write_text('a1')
        return folder

    return make
