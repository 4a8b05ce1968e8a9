"""Every method shows what it does, and nothing that it does not do."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.masking import take
from ccmim.pictures import method_columns, method_sheet, reconstruction_sheet
from ccmim.registry import MODELS
from ccmim.teachers import normalize_patches, patchify

MASK = ['original', 'importance', 'mask']
RANDOM = ['original', 'importance (all alike)', 'mask']
THROWN = ['original', 'importance', 'mask (dark: left out)', 'reconstruction']
COLUMNS = {
    'ccmim_vitt': [*MASK, 'reconstruction'],
    'mae_vitt': [*RANDOM, 'reconstruction'],
    'simmim_vitt': [*RANDOM, 'reconstruction'],
    'hpm_vitt': [*MASK, 'reconstruction'],
    'amt_mae_vitt': THROWN,
    'amt_simmim_vitt': THROWN,
    'conmim_vitt': [*RANDOM, 'seen by teacher'],
    'maskdistill_vitt': RANDOM,
    'soho_vitt': RANDOM,
    'relational_distill_vitt': ['original', 'seen by both'],
    'neco_vitt': ['original', 'first crop', 'second crop', 'small crop'],
    'simclr_vitt': ['first part', 'first view', 'second part', 'second view'],
    'densecl_vitt': ['first part', 'first view', 'second part', 'second view'],
}


@pytest.fixture
def method(request):
    """Build the method of a small config with a single block, in evaluation mode."""

    def method(name):
        torch.manual_seed(3)
        cfg = Config.fromfile(request.config.rootpath / f'mm_configs/small/{name}.py')
        cfg.model.backbone.arch = dict(embed_dim=192, depth=1, num_heads=3)
        if name.startswith('amt'):
            cfg.merge_from_dict({'custom_hooks': []})
            sampler = cfg.model.sampler
            (sampler if 'begin' in sampler else sampler.sampler).begin = 0
        if 'backbone' in cfg.model.get('teacher', {}):
            cfg.model.teacher.backbone.arch = cfg.model.backbone.arch
        with DefaultScope.overwrite_default_scope('ccmim'):
            return MODELS.build(cfg.model).eval()

    return method


def _photos(height=128):
    return torch.randint(0, 256, (3, 3, height, 128), dtype=torch.uint8)


@pytest.mark.parametrize('name', COLUMNS)
def test_columns(method, name):
    """Pixels of one tile are those of the image: patches are where they are said."""
    network = method(name)
    photos = _photos(256 if 'first part' in COLUMNS[name] else 128)
    columns = method_columns(network, photos, side=128)
    assert list(columns) == COLUMNS[name]
    assert all(x.shape == (3, 128, 128, 3) for x in columns.values())
    assert all(x.dtype == np.uint8 for x in columns.values())
    truth = photos.permute(0, 2, 3, 1).numpy().astype(int)
    first, *_, last = columns.values()
    assert np.abs(first - truth[:, :128]).max() <= 1
    if 'first part' in columns:
        assert np.abs(columns['second part'] - truth[:, 128:]).max() <= 1
        assert np.abs(columns['second view'] - truth[:, 128:]).mean() > 1
        return
    if not hasattr(network, 'mask_ratio'):
        assert np.abs(last - truth).mean() > 1
        return
    mask = columns[COLUMNS[name][2]]
    gray, dark = (mask == 128).all(axis=3), (mask == 32).all(axis=3)
    assert dark.any() == ('dark: left out' in COLUMNS[name][2])
    seen = ~(gray | dark)
    assert seen.mean() <= 1 - network.mask_ratio + 1 / 64
    assert np.abs(mask - truth)[seen].max() <= 1
    if name.endswith(('conmim_vitt', 'maskdistill_vitt')):
        return
    assert np.abs(last - truth)[seen].max() <= 1
    assert np.abs(last - truth)[gray].mean() > 10  # predictions of random weights
    assert (last[dark] == 32).all()  # neither seen nor predicted


def test_pixels_as_they_are_are_not_scaled(method):
    """SimMIM's predictions are pixels: zero is the mean color of the data."""
    network = method('simmim_vitt')
    torch.nn.init.zeros_(network.decoder.pred.weight)
    torch.nn.init.zeros_(network.decoder.pred.bias)
    columns = method_columns(network, _photos(), side=128)
    hidden = (columns['mask'] == 128).all(axis=3)
    colors = np.unique(columns['reconstruction'][hidden], axis=0)
    assert colors.tolist() == [[124, 116, 104]]


def test_features_of_a_known_teacher_and_their_prediction(method):
    """A perfect prediction has the teacher's colors where patches were masked."""
    network, photos = method('maskdistill_vitt'), _photos()
    network.teacher.has_weights = True
    normalized = network.data_preprocessor(dict(inputs=photos))['inputs']
    features = network.teacher(normalized)
    target = torch.nn.functional.layer_norm(features, features.shape[-1:], eps=1e-6)
    draws = network.sampler.forward

    def sample(scores, ratio):
        split = draws(scores, ratio)
        network.decoder.forward = lambda _: torch.stack(
            [target[i, ids] for i, ids in enumerate(split.ids_masked)]
        )
        return split

    network.sampler.forward = sample
    columns = method_columns(network, photos, side=128)
    assert list(columns)[3:] == ['predicted features', "teacher's features"]
    hidden = (columns['mask'] == 128).all(axis=3)
    ours, theirs = (columns[key].astype(int) for key in list(columns)[3:])
    assert np.abs(ours - theirs)[hidden].max() <= 1
    assert (ours[~hidden] == 255).all()
    assert theirs.std() > 30


def _perfect(method, images):
    """Let a decoder predict the true normalized patches."""
    target = normalize_patches(patchify(images, 16))
    method.decoder.forward = lambda _, split: take(target, split.ids_masked)


def test_a_perfect_prediction_gives_the_image_back(tiny_mae, images):
    """Normalized pixels are un-normalized by the statistics of each true patch."""
    method, patches = tiny_mae(), patchify(images, 16)
    made = method(images, mode='predict')
    assert torch.equal(made.completed[~made.split.mask], patches[~made.split.mask])
    assert not torch.allclose(made.completed[made.split.mask], patches[made.split.mask])
    _perfect(method, images)
    made = method(images, mode='predict')
    torch.testing.assert_close(made.completed, patches, atol=1e-4, rtol=1e-3)


def test_sheet_pixel_by_pixel(tiny_ccmim):
    normalize = dict(type='ImgDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3)
    method = tiny_ccmim(data_preprocessor=normalize)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    _perfect(method, (images.float() - 120) / 60)
    sheet = reconstruction_sheet(method, images)
    assert sheet.shape == (2 * 68, 4 * 68, 3)
    rows = torch.from_numpy(sheet).reshape(2, 68, 4, 68, 3)[:, :64, :, :64]
    original, _, masked, completed = rows.permute(2, 0, 4, 1, 3).int()
    assert torch.equal(original, images.int())
    assert (completed - original).abs().max() <= 1
    gray = (masked == 128).all(1)
    assert gray.float().mean() >= 0.74  # three of four patches
    shown = ~gray.unsqueeze(1).expand_as(masked)
    assert torch.equal(masked[shown], original[shown])


def test_the_sheet_has_a_label_above_each_column(method):
    network, photos = method('ccmim_vitt'), _photos()
    torch.manual_seed(0)
    columns = method_columns(network, photos, side=64)
    torch.manual_seed(0)
    sheet = method_sheet(network, photos, side=64, caption='ccMIM.')
    left, top = 14, 14 + 27
    for j, tiles in enumerate(columns.values()):
        x = left + j * 70
        assert (sheet[top - 27 : top, x : x + 64] < 100).any()
        for i, tile in enumerate(tiles):
            assert (sheet[top + i * 70 : top + i * 70 + 64, x : x + 64] == tile).all()
