"""Unlabelled images: sources, decoding, transforms and samplers."""

from ccmim.data.image import BadImageError, decode_image
from ccmim.data.randomness import SampleKey, seeded
from ccmim.data.samplers import InfiniteVisitSampler, VisitSampler
from ccmim.data.sources import open_source
from ccmim.data.transforms import (
    RandomHorizontalFlip,
    RandomResizedCrop,
    ResizeCenterCrop,
    ToUint8Tensor,
)
from ccmim.data.unlabelled import UnlabelledImages

__all__ = [
    'BadImageError',
    'InfiniteVisitSampler',
    'RandomHorizontalFlip',
    'RandomResizedCrop',
    'ResizeCenterCrop',
    'SampleKey',
    'ToUint8Tensor',
    'UnlabelledImages',
    'VisitSampler',
    'decode_image',
    'open_source',
    'seeded',
]
