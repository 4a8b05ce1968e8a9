"""900 photos of Flickr8k with five captions each; 100 are left for testing.

``flickr8k_1k`` in the folder ``CCMIM_DATA`` holds ``images`` and ``captions.txt``.
"""

_base_ = 'captioned.py'
root = '{{$CCMIM_DATA:data}}/flickr8k_1k/'
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(
        data=root + 'images',
        captions=root + 'captions.txt',
        part='train',
        least_side=0,
    ),
)
