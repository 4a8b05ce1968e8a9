"""Batches of two images of 64 px, as mmdet and mmseg give them to a model."""

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData

SIZE = 64
META = dict(img_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE))


def assert_all_reached(model):
    """Compare what is trained with what has a gradient, which is finite."""
    for name, param in model.named_parameters():
        if param.requires_grad:
            assert param.grad is not None, name
            assert torch.isfinite(param.grad).all(), name


def detection_batch(labels=(0, 0)):
    """Two images, each with two bright rectangles as objects."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    boxes = torch.tensor([[4.0, 6.0, 30.0, 40.0], [28.0, 20.0, 62.0, 58.0]])
    masks = np.zeros((2, SIZE, SIZE), dtype=np.uint8)
    image = torch.randint(0, 60, (3, SIZE, SIZE), dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int(), strict=True):
        mask[top:bottom, left:right] = 1
        image[:, top:bottom, left:right] += 150
    sample = DetDataSample(
        metainfo=dict(META, scale_factor=(1.0, 1.0), img_id=0),
        gt_instances=InstanceData(
            bboxes=boxes,
            labels=torch.tensor(labels),
            masks=BitmapMasks(masks, SIZE, SIZE),
        ),
    )
    return dict(inputs=[image, image.clone()], data_samples=[sample, sample.clone()])


def segmentation_batch():
    """Two images whose left and right halves are classes 0 and 1."""
    from mmseg.structures import SegDataSample

    classes = torch.zeros(1, SIZE, SIZE, dtype=torch.long)
    classes[:, :, SIZE // 2 :] = 1
    image = (60 + 120 * classes.expand(3, -1, -1)).to(torch.uint8)
    sample = SegDataSample(metainfo=META, gt_sem_seg=PixelData(data=classes))
    return dict(inputs=[image, image.clone()], data_samples=[sample, sample.clone()])


def panoptic_batch():
    """The same objects, cars, on a road (3 + 3) and pixels without a class."""
    batch = detection_batch()
    classes = torch.full((1, SIZE, SIZE), 255)
    classes[:, SIZE // 2 :] = 6
    for sample in batch['data_samples']:
        sample.gt_sem_seg = PixelData(sem_seg=classes.clone())
    return batch
