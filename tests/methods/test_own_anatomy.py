"""Nobody but a method knows what its parts are called."""

import copy

import pytest
import torch
from mmengine.config import Config

from ccmim.evaluation.flops import build_shapes, training_flops
from ccmim.masking import stored_scorer
from ccmim.methods import Prediction, PretrainMethod
from ccmim.pictures import method_columns
from ccmim.registry import MODELS
from tests.conftest import TINY_MAE


class Oddly(PretrainMethod):
    """MAE whose parts have other names, on images of changed colors."""

    def __init__(self, painter, yardstick, backbone, ranker, chooser, tint, **kwargs):
        super().__init__(backbone, **kwargs)
        self.ranker, self.chooser = MODELS.build(ranker), MODELS.build(chooser)
        self.painter, self.yardstick = MODELS.build(painter), MODELS.build(yardstick)
        self.tint = MODELS.build(tint)

    def loss(self, images):
        """Compute MAE's loss of images of changed colors."""
        images = self.tint(images)
        split = self.chooser(self.ranker(self.backbone, images), 0.5)
        seen = self.backbone.encode(self.backbone.embed(images, split.ids_visible))
        return dict(loss=self.yardstick(self.painter(seen, split), images, split))

    def predict(self, images):
        """Predict all black."""
        ranks = self.ranker(self.backbone, images)
        split = self.chooser(ranks, 0.5)
        black = torch.zeros(*split.ids_masked.shape, 3 * 16 * 16)
        shown = self.yardstick.in_pixels(black, images, split)
        return Prediction(ranks, split, **shown, views=dict(tinted=self.tint(images)))


@pytest.fixture
def parts():
    """Configs of an odd method, and of MAE with the same parts."""
    mae = dict(copy.deepcopy(TINY_MAE), mask_ratio=0.5)
    ranker = dict(type='ccmim.ClassAttentionScorer')
    odd = dict(
        type='ccmim.Oddly',
        backbone=mae['backbone'],
        ranker=dict(type='ccmim.StoredScorer', scorer=ranker, img_size=64),
        chooser=dict(type='ccmim.TopKSampler'),
        painter=mae['decoder'],
        yardstick=dict(type='ccmim.PixelReconstruction', norm_pix=False),
        tint=dict(type='ccmim.ColorPerturbation'),
    )
    MODELS.register_module(module=Oddly)
    yield odd, mae
    MODELS.module_dict.pop('Oddly')


def test_pictures_masks_and_operations_are_right(parts):
    odd, mae = parts
    scale = dict(type='ImgDataPreprocessor', mean=[0.0] * 3, std=[1.0] * 3)
    method = MODELS.build(dict(odd, data_preprocessor=scale)).eval()
    photos = torch.randint(1, 256, (3, 3, 64, 64), dtype=torch.uint8)
    columns = method_columns(method, photos, side=64)
    assert ' '.join(columns) == 'original importance mask reconstruction tinted'
    hidden = (columns['mask'] == 128).all(axis=3)
    assert hidden.mean() == pytest.approx(0.5, abs=0.01)
    assert (columns['reconstruction'][hidden] == 0).all()
    truth = photos.permute(0, 2, 3, 1).numpy()
    assert (columns['reconstruction'][~hidden] == truth[~hidden]).all()
    assert (columns['tinted'] != truth).any()
    assert stored_scorer(method) is method.ranker
    counted = [
        training_flops(build_shapes(Config(dict(model=model))), 64, 64)
        for model in (odd, mae)
    ]
    assert counted[0] == counted[1] > 0


def test_sizes_are_the_backbones_unless_the_config_says_so(parts):
    """A width or a patch side that does not fit is refused by its name."""
    _, mae = parts
    mae['backbone'].update(img_size=(32, 64), patch_size=8)
    mae['decoder'].pop('in_dim')
    mae['decoder'].pop('img_size')
    mae['sampler'] = dict(
        type='ccmim.MaskUnitSampler',
        unit_size=16,
        sampler=dict(
            type='ccmim.SwitchSampler',
            begin=0,
            first=dict(type='ccmim.RandomSampler'),
            then=dict(type='ccmim.BlockSampler', min_area=1),
        ),
    )
    method = MODELS.build(mae)
    assert method.decoder.embed.in_features == 32
    assert method.decoder.grid == (4, 8)
    assert method.sampler.members.shape == (8, 4)
    assert method.sampler.sampler.then.grid == (2, 4)
    assert method.loss(torch.randn(2, 3, 32, 64))['loss_reconstruction'] > 0
    for wrong in (dict(in_dim=48), dict(patch_size=16)):
        with pytest.raises(ValueError, match=f'{[*wrong][0]}=.* does not fit the oth'):
            MODELS.build(dict(mae, decoder=dict(mae['decoder'], **wrong)))
