"""Operations and parameters are those that a hand counts."""

import pytest

from ccmim.engine.config import read_config
from ccmim.evaluation.flops import build_shapes, forward_flops, training_flops
from ccmim.masking import ConstantScorer


@pytest.fixture
def build(request):
    """Make a function that builds the model of a config, by its name."""
    folder = request.config.rootpath / 'mm_configs'
    return lambda name: build_shapes(read_config(f'{folder}/{name}.py'))


def test_forward_pass_of_a_tiny_vit(build):
    """ViT-Ti at 128 px: 64 patches and a class token, width 192, 12 blocks."""
    model = build('small/ccmim_vitt')
    n, d = 65, 192
    embed = 2 * 64 * 768 * d
    block = 2 * n * d * (3 * d + d + 4 * d + 4 * d) + 2 * 2 * n * n * d
    counted = forward_flops(model, 128, 128)
    assert counted == {'backbone': embed + 12 * block}


def _block(queries, keys, width):
    products = 2 * keys * width * 2 * width + 2 * queries * width * 10 * width
    return products + 2 * 2 * queries * keys * width


def test_training_step_of_a_tiny_mae(build):
    """Three times the forward pass; images get no gradient.

    The encoder sees 16 of 64 patches. The last block of the decoder computes what it
    needs of the 48 others alone.
    """
    model = build('small/mae_vitt')
    encoder = 12 * _block(17, 17, 192)
    decoder = 2 * 17 * 192 * 128 + _block(65, 65, 128) + _block(48, 65, 128)
    pixels = 2 * 48 * 128 * 768
    embed = 2 * 16 * 768 * 192
    expected = 3 * (encoder + decoder + pixels) + 2 * embed
    assert training_flops(model, 128, 128) == expected
    assert training_flops(build('small/conmim_vitt'), 128, 128) > expected  # no colors
    cached = build('small/ccmim_vitt_cached_scores')
    assert isinstance(cached.scorer, ConstantScorer)  # which reads no file


# Of the small Mask R-CNN, for a box: 7 x 7 cells of 128 channels, one class. For a
# mask: two convolutions of 14 x 14, one to 28 x 28, and the logits; cascades share it.
_BOX = 2 * (7 * 7 * 128 * 256 + 256 * 256 + 256 * (2 + 4))
_MASK = 2 * 128 * (2 * 9 * 128 * 14**2 + 128 * 28**2 + 28**2)


@pytest.mark.parametrize(
    ('name', 'parts', 'heads'),
    [
        ('mask_rcnn_vitt', 'neck rpn_head', dict(bbox_head=250, mask_head=100)),
        ('cascade_mask_rcnn_vitt', 'neck rpn_head', dict(bbox_head=750, mask_head=100)),
        ('faster_rcnn_vitt', 'neck rpn_head', dict(bbox_head=250)),
        ('eomt_vitt', 'queries', {}),
        ('upernet_vitt_camvid', 'neck decode_head', {}),
        ('eomt_vitt_camvid', 'queries', {}),
        ('linear_vitt_cifar10', '', dict(head=2 * 192 * 10)),
    ],
)
def test_heads_of_small_tasks(build, name, parts, heads):
    name += '' if name[-1].isdigit() or name.endswith('camvid') else '_penn_fudan'
    counted = forward_flops(build(f'small/{name}').train(), 128, 128)
    assert counted.get('queries', 0) < counted['backbone']
    assert list(counted) == ['backbone', *parts.split(), *heads]
    assert min(counted.values()) > 0
    one = dict(bbox_head=_BOX, mask_head=_MASK, head=1)
    assert {part: counted[part] / one[part] for part in heads} == heads


@pytest.mark.slow
def test_training_step_of_vit_b(build):
    """As the benchmark counts: 113.93 GF an image."""
    model = build('pretrain/ccmim_vitb')
    assert training_flops(model, 224, 224) == pytest.approx(113.926e9, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    'method', ['mae', 'simmim', 'maskdistill', 'conmim', 'amt_mae', 'hpm', 'densecl']
)
def test_every_method_can_be_counted(build, method):
    name = 'mae_vitb' if method == 'mae' else f'{method}_vits'
    model = build(f'pretrain/{name}')
    height = 448 if method == 'densecl' else 224
    forward = sum(forward_flops(model, 224, 224).values())
    assert forward < training_flops(model, height, 224) < 15 * forward


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('detection/mask_rcnn_vits_coco', 'neck rpn_head bbox_head mask_head'),
        ('detection/cascade_mask_rcnn_vitb_coco', 'neck rpn_head bbox_head mask_head'),
        ('segmentation/upernet_vits_ade20k', 'neck decode_head'),
        ('detection/eomt_vits_coco', 'queries'),
        ('segmentation/eomt_vits_ade20k', 'queries'),
        ('segmentation/linear_vitb_ade20k', 'decode_head'),
        ('classification/linear_vits_imagenet', 'head'),
    ],
)
def test_every_task_can_be_counted(build, name, parts):
    model = build(name)
    counted = forward_flops(model, 224, 224)
    assert list(counted) == ['backbone', *parts.split()]
    assert min(counted.values()) > 0


def test_the_command_counts_a_step(request, run_tool):
    config = request.config.rootpath / 'mm_configs/small/ccmim_vitt.py'
    assert 'training step' in run_tool('get_flops.py', config)[1]
