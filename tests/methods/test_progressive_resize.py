"""Images have the size that the schedule gives to the epoch."""

import mmengine.model
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from torch._dynamo.utils import counters
from torch.utils.flop_counter import FlopCounterMode

from ccmim.engine.compile import compile_blocks
from ccmim.methods import ProgressiveResize
from ccmim.methods.progressive_resize import ImgDataPreprocessor, shrink
from ccmim.registry import MODELS

SCHEDULE = [(0, 32), (2, 48), (5, 64)]


@pytest.mark.parametrize(
    'options', [{}, dict(bgr_to_rgb=True), dict(pad_size_divisor=5)]
)
def test_images_are_normalized_as_by_mmengine(options):
    options = options | dict(mean=[127.0, 110.0, 90.0], std=[50.0, 57.3, 61.0])
    ours = MODELS.build(dict(type='ImgDataPreprocessor', **options))
    theirs = mmengine.model.ImgDataPreprocessor(**options)
    assert type(ours) is ImgDataPreprocessor
    floats = torch.rand(2, 3, 8, 10) * 255
    for inputs in floats, floats.byte(), floats.byte().flip(3), [*floats.byte()]:
        data = dict(inputs=[*inputs] if isinstance(inputs, list) else inputs.clone())
        assert torch.equal(ours(data)['inputs'], theirs(dict(inputs=inputs))['inputs'])
        assert torch.equal(torch.stack([*data['inputs']]), torch.stack([*inputs]))
    if not options.get('bgr_to_rgb'):
        gray = dict(inputs=floats[:, :1])
        assert torch.equal(ours(gray)['inputs'], theirs(gray)['inputs'])


def _grow(schedule=SCHEDULE):
    return ProgressiveResize(schedule, mean=[127.0] * 3, std=[50.0] * 3)


def _at(epoch, max_epochs=6):
    hub = MessageHub.get_instance('growing')
    hub.update_info_dict(dict(epoch=epoch, max_epochs=max_epochs))
    return hub


def test_side_of_each_epoch():
    grow, inputs = _grow(), torch.randint(0, 256, (2, 3, 64, 64)).byte()
    for epoch, side in enumerate([32, 32, 48, 48, 48, 64]):
        hub = _at(epoch)
        assert grow.side(epoch, 6) == side
        images = grow(dict(inputs=inputs), training=True)['inputs']
        assert images.shape == (2, 3, side, side)
        assert hub.get_scalar('train/image_size').current() == side
    torch.testing.assert_close(images, (inputs.float() - 127) / 50)
    assert grow(dict(inputs=inputs))['inputs'].shape == (2, 3, 64, 64)  # evaluation


def test_fractions_are_of_the_run():
    grow = _grow([(0, 32), (1 / 3, 48), (0.9, 64)])
    assert [grow.side(epoch, 6) for epoch in range(6)] == [32, 32, 48, 48, 48, 64]
    assert [grow.side(epoch, 3) for epoch in range(3)] == [32, 48, 64]
    begin = _grow([(0, 32), (1, 64)]).resize(torch.zeros(1, 3, 64, 64))
    assert begin.shape[-1] == 32  # outside of a run
    _at(0, max_epochs=1)
    assert grow.resize(torch.zeros(1, 3, 64, 64)).shape[-1] == 64


def test_a_smaller_image_is_the_same_picture():
    """Coarse patterns stay, fine ones vanish and do not turn into others."""
    wave = torch.arange(64.0) * 2 * torch.pi / 64
    coarse, fine = wave.sin().expand(1, 3, 64, 64), (wave * 26).sin()
    small = shrink(coarse, 32)
    expected = torch.nn.functional.avg_pool2d(coarse, 2)
    torch.testing.assert_close(small, expected, atol=0.02, rtol=0)
    assert shrink(fine.expand(1, 3, 64, 64), 32)[..., 3:-3].abs().max() < 0.1
    assert shrink(coarse, 64) is coarse


def test_smaller_steps_are_cheaper(tiny_ccmim):
    """By operations, in proportion to the patches or better: 4, 9, 16 of them."""
    model, counts = tiny_ccmim(), []
    for side in (32, 48, 64):
        with FlopCounterMode(display=False) as counter:
            model.loss(torch.zeros(2, 3, side, side))['loss_reconstruction'].backward()
        counts.append(counter.get_total_flops())
    assert counts[0] < 0.35 * counts[2]  # a class token is there at any size
    assert counts[1] < 0.65 * counts[2]


@pytest.mark.parametrize(
    ('schedule', 'message'),
    [
        ([(1, 64)], 'must have ascending epochs, the first of them 0'),
        ([(0, 32), (0, 64)], 'must have ascending epochs'),
        ([(0, 40), (2, 64)], 'images of side 40: choose multiples of patch_size=16'),
        ([(0, 0)], 'images of side 0'),
    ],
)
def test_impossible_schedules_are_refused(schedule, message):
    with pytest.raises(ValueError, match=message):
        _grow(schedule)


def test_images_that_are_no_squares_are_refused():
    """Two views, one above the other, would be squashed."""
    with pytest.raises(ValueError, match='these images are 64 x 32'):
        _grow().resize(torch.zeros(2, 3, 64, 32))


def test_a_schedule_beyond_the_run_stops_its_first_step():
    """Also of a run by iterations, which has one epoch for mmengine."""
    for max_epochs in (5, 1):
        _at(0, max_epochs=max_epochs)
        with pytest.raises(ValueError, match='goes beyond the run: end it before'):
            _grow()(dict(inputs=torch.zeros(1, 3, 64, 64)), training=True)


@pytest.mark.parametrize('name', ['pretrain/ccmim_vitb', 'small/ccmim_vitt'])
def test_schedules_of_the_configs_end_at_the_size_of_the_crops(request, name):
    path = request.config.rootpath / f'mm_configs/{name}_progressive.py'
    cfg = Config.fromfile(path)
    epochs, sides = zip(*cfg.model.data_preprocessor.schedule, strict=True)
    assert list(sides) == sorted(sides)
    assert sides[-1] == cfg.model.backbone.img_size
    assert [round(3 * epoch) for epoch in epochs] == [0, 1, 2]


@pytest.mark.slow
def test_each_size_is_compiled_once(tiny_ccmim):
    torch._dynamo.reset()
    counters.clear()
    model, graphs = tiny_ccmim(), []
    assert compile_blocks(model, backend='aot_eager')
    for side in (32, 48, 64, 32, 48, 64):
        model.loss(torch.zeros(2, 3, side, side))['loss_reconstruction'].backward()
        graphs.append(counters['stats']['unique_graphs'])
    assert graphs[0] < graphs[1] < graphs[2] == graphs[5]
    assert not counters['graph_break']
