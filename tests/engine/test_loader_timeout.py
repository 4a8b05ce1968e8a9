"""The loader gets a limit where it can have one."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader

from ccmim.engine import LoaderTimeoutHook


@pytest.mark.parametrize(
    ('options', 'timeout'),
    [
        (dict(num_workers=1), 90),
        (dict(num_workers=0), 0),  # PyTorch refuses any other
        (dict(num_workers=1, timeout=7), 7),
    ],
)
def test_the_limit_is_set_where_workers_have_none(options, timeout):
    loader = DataLoader(torch.zeros(2), **options)
    LoaderTimeoutHook(90).before_train(SimpleNamespace(train_dataloader=loader))
    assert loader.timeout == timeout
    assert len(list(loader)) == 2
