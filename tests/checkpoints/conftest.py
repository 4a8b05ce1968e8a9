"""Checkpoints, written and read."""

import pytest
import torch

from ccmim.checkpoints import read_weights

HUB = dict(log_scalars={}, runtime_info={}, resumed_keys={})  # mmengine's


def flip(file):
    """Change a bit in the middle: of a weight."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.fixture
def save(tmp_path):
    """Write a checkpoint; gives its path."""

    def save(content, name='in.pth'):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def read(save):
    """Write and read one: of two heads and images of 64 px, unless other is told."""
    told = dict(num_heads=2, img_size=64)
    return lambda content, **options: read_weights(save(content), **told | options)
