"""Labeled pictures and a tiny classifier."""

import numpy as np
import pytest
from PIL import Image

COLORS = dict(blue=(40, 40, 220), green=(40, 220, 40), red=(220, 40, 40))
TRANSFORM = [
    dict(type='ccmim.ResizeCenterCrop', size=64, crop_ratio=1.0),
    dict(type='ccmim.ToUint8Tensor'),
]
VIT = dict(
    type='ccmim.VisionTransformer',
    arch=dict(embed_dim=32, depth=2, num_heads=2),
    img_size=64,
    pos_embed='learned',
    final_norm=False,
    init_cfg=dict(type='Pretrained', checkpoint=None),
)
TINY_CLASSIFIER = dict(
    type='ccmim.Classifier',
    backbone=VIT,
    head=dict(type='ccmim.ClassHead', in_dim=32, num_classes=3, norm='layer'),
    data_preprocessor=dict(type='ImgDataPreprocessor', mean=[127] * 3, std=[50] * 3),
)


@pytest.fixture
def transform():
    """Configs of transforms that keep pictures of 64 px as they are."""
    return TRANSFORM


@pytest.fixture
def paint():
    """Make a function that paints pictures of three colors into class folders."""

    def paint(root, count):
        rng = np.random.default_rng(0)
        for name, color in COLORS.items():
            (root / name).mkdir(parents=True)
            for i in range(count):
                noise = rng.integers(-30, 30, (64, 64, 3))
                pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / name / f'{name}_{i}.png')
        return root

    return paint


@pytest.fixture
def class_folder(paint, tmp_path):
    """Ten pictures in each of the class folders blue, green and red."""
    return paint(tmp_path / 'pictures', 10)


@pytest.fixture
def tiny_classifier(builder):
    """Build a tiny classifier, with changed arguments if any are given."""
    import ccmim.classification  # noqa: F401  # registers the parts

    return builder(TINY_CLASSIFIER)
