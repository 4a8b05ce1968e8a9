"""What the tests of the images share."""

import logging
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis.configuration import set_hypothesis_home_dir
from mmengine.logging import MMLogger
from PIL import Image

# Hypothesis keeps notes of what it reads in the code: not in the checkout.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / 'hypothesis')
TRANSFORM = [
    dict(type='ccmim.RandomResizedCrop', size=16),
    dict(type='ccmim.ToUint8Tensor'),
]


@pytest.fixture
def messages():
    """Collect what is logged, in this process."""
    records = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: records.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def write_noise(root):
    """Write twelve photos of noise, 000.png to 011.png, into a new folder."""
    generator = np.random.default_rng(0)
    root.mkdir()
    for i in range(12):
        pixels = generator.integers(0, 255, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(root / f'{i:03d}.png')
    return root


@pytest.fixture
def folder(tmp_path):
    """A folder of twelve photos of noise."""
    return write_noise(tmp_path / 'photos')
