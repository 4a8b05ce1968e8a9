"""A batch of one before a batch norm is known before the first step."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import IterBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader

from ccmim.engine.settings import batches
from ccmim.engine.settings.batches import check_batches, norms_of_one_value
from ccmim.heads.projections import ProjectionHead
from ccmim.losses.contrast import SingleViewContrast


class Pooled(nn.Module):
    """As the pyramid of UperNet: a norm at 2 x 2, and one at 1 x 1."""

    def __init__(self):
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(scale),
                nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)),
            )
            for scale in (1, 2)
        )

    def forward(self, images):
        return [scale(images) for scale in self.scales]


class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 3, 8, 8)
        self.head = ProjectionHead(3, 4, 4, 2)

    def forward(self, images):
        return self.head(self.backbone(images).flatten(2).transpose(1, 2))


def features():
    return nn.Sequential(nn.Flatten(), nn.Linear(768, 4), nn.BatchNorm1d(4))


MODELS = {
    'pooled': (Pooled, ['scales.0.1.1']),
    'tokens': (Projected, []),
    'features': (features, ['2']),
    'frozen': (lambda: Pooled().eval(), []),
}


@pytest.mark.parametrize('name', MODELS)
def test_the_norms_are_those_at_which_torch_fails(name):
    make, expected = MODELS[name]
    model = make()
    assert norms_of_one_value(model) == expected
    if expected:
        with pytest.raises(ValueError, match='more than 1 value per channel'):
            model(torch.zeros(1, 3, 16, 16))
    else:
        model(torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize(
    ('images', 'options', 'text'),
    [
        (8, dict(batch_size=1), 'batch_size=1 leaves a single value to the batch norm'),
        (9, dict(batch_size=4), 'of 9 images the last batch has one'),
        (1, dict(batch_size=4), 'of 1 images the last batch has one'),
        (9, dict(batch_size=4, drop_last=True), None),
        (8, dict(batch_size=4), None),
    ],
)
def test_short_batches_are_refused_before_the_run(images, options, text):
    loop = SimpleNamespace(dataloader=DataLoader(range(images), **options))
    if text is None:
        check_batches(loop, Pooled())
        return
    with pytest.raises(ValueError, match=text) as caught:
        check_batches(loop, Pooled())
    assert 'scales.0.1.1' in str(caught.value)
    check_batches(loop, Projected())


@pytest.mark.parametrize(
    ('batch_norm', 'processes', 'alone'),
    [('local', 2, True), ('global', 2, False), ('global', 1, True)],
)
def test_a_norm_over_all_processes_sees_more(monkeypatch, batch_norm, processes, alone):
    monkeypatch.setattr(batches, 'get_world_size', lambda: processes)
    model = nn.Sequential(SingleViewContrast(4, batch_norm=batch_norm))
    assert bool(norms_of_one_value(model)) == alone


def test_steps_without_epochs_have_no_short_batch():
    loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    loop.dataloader = DataLoader(range(9), batch_size=4)
    check_batches(loop, Pooled())
