"""Images with captions: a folder, and a file that says what is in them.

``train_dataloader.dataset.captions`` takes COCO's captions (.json), or a table with the
columns image and caption (.csv, .tsv); ``data`` is the folder of the images. Without
captions the classes of labeled ``data`` are put into sentences.
"""

_base_ = 'imagenet_unlabelled.py'
train_dataloader = dict(
    dataset=dict(
        type='CaptionedImages',
        data='data/captioned/images',
        captions='data/captioned/captions.csv',
    )
)
_base_.train_dataloader.dataset.transform[0].scale = (0.5, 1.0)
