"""Unlabelled images: sources, decoding, transforms and samplers."""

from ccmim.data.crop_box import ImagesWithCropBox, RandomCropWithBox
from ccmim.data.image import BadImageError, decode_image
from ccmim.data.randomness import SampleKey, seeded
from ccmim.data.samplers import InfiniteVisitSampler, VisitSampler
from ccmim.data.seeded_samples import SeededSamples, seed_samples
from ccmim.data.sources import open_source
from ccmim.data.transforms import (
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    ResizeCenterCrop,
    ToUint8Tensor,
)
from ccmim.data.two_views import TwoViews
from ccmim.data.unlabeled import UnlabeledImages
from ccmim.renamed import old_names

__all__ = [
    'BadImageError',
    'InfiniteVisitSampler',
    'RandomCropWithBox',
    'ImagesWithCropBox',
    'RandomHorizontalFlip',
    'RandomResizedCrop',
    'ResizeCenterCrop',
    'SampleKey',
    'SeededSamples',
    'Resize',
    'ToUint8Tensor',
    'TwoViews',
    'UnlabeledImages',
    'VisitSampler',
    'decode_image',
    'open_source',
    'seed_samples',
    'seeded',
]

__getattr__ = old_names(__name__)
