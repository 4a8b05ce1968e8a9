"""Unlabelled images: sources, decoding, transforms and samplers."""

from ccmim.data.image import BadImageError, decode_image
from ccmim.data.placed import PlacedCrop, PlacedImages, Squash
from ccmim.data.randomness import SampleKey, seeded
from ccmim.data.samplers import InfiniteVisitSampler, VisitSampler
from ccmim.data.seeded_samples import SeededSamples, seed_samples
from ccmim.data.sources import open_source
from ccmim.data.transforms import (
    RandomHorizontalFlip,
    RandomResizedCrop,
    ResizeCenterCrop,
    ToUint8Tensor,
)
from ccmim.data.two_views import TwoViews
from ccmim.data.unlabelled import UnlabelledImages

__all__ = [
    'BadImageError',
    'InfiniteVisitSampler',
    'PlacedCrop',
    'PlacedImages',
    'RandomHorizontalFlip',
    'RandomResizedCrop',
    'ResizeCenterCrop',
    'SampleKey',
    'SeededSamples',
    'Squash',
    'ToUint8Tensor',
    'TwoViews',
    'UnlabelledImages',
    'VisitSampler',
    'decode_image',
    'open_source',
    'seed_samples',
    'seeded',
]
