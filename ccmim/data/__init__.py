"""Unlabeled images: sources, decoding, transforms and samplers."""

from ccmim.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'image': ('BadImageError', 'decode_image'),
        'crop_box': ('ImagesWithCropBox', 'RandomCropWithBox'),
        'kept_images': ('KeptImages',),
        'randomness': ('SampleKey', 'seeded'),
        'samplers': ('InfiniteVisitSampler', 'VisitSampler'),
        'seeded_samples': ('SeededSamples', 'seed_samples'),
        'sources': ('open_source',),
        'transforms': (
            'RandomHorizontalFlip',
            'RandomResizedCrop',
            'Resize',
            'ResizeCenterCrop',
            'ToUint8Tensor',
            'TwoViews',
        ),
        'unlabeled': ('UnlabeledImages',),
    },
)
