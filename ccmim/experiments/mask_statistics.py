"""How much of what samplers hide lies on objects.

B images, H W pixels.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ccmim.data import ToUint8Tensor
from ccmim.evaluation import mask_overlap
from ccmim.masking import TopKSampler

BEST = 'objects first'


def photos_and_objects(
    photos: Path, annotations: Path, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Read photos and where there is any object, squashed to one size.

    Args:
        photos: Folder of the photos.
        annotations: Of COCO's kind; crowds count too.
        size: Height and width.

    Returns:
        Photos, uint8 (B, 3, H, W), and objects, bool (B, H, W). Photos without an
        object are left out.
    """
    from pycocotools.coco import COCO  # which pretraining does not need

    coco = COCO(str(annotations))
    images, objects = [], []
    for i in sorted(coco.getImgIds()):
        marks = [coco.annToMask(a) for a in coco.loadAnns(coco.getAnnIds(i))]
        if not marks:
            continue
        with Image.open(photos / coco.loadImgs(i)[0]['file_name']) as photo:
            squashed = photo.convert('RGB').resize(size[::-1], Image.BICUBIC)
        images.append(ToUint8Tensor()(squashed))
        union = torch.from_numpy(np.maximum.reduce(marks))[None, None].float()
        objects.append(F.interpolate(union, size, mode='area')[0, 0] >= 0.5)
    return torch.stack(images), torch.stack(objects)


@torch.no_grad()
def object_overlaps(
    method: nn.Module,
    samplers: Mapping[str, nn.Module],
    images: Tensor,
    objects: Tensor,
    draws: int = 200,
) -> dict[str, float]:
    """Compute how much more objects than by chance each sampler would hide.

    All of them draw from the scores that the method gives the photos.

    Args:
        method: With a scorer, in evaluation mode.
        samplers: By name.
        images: Uint8, of shape (B, 3, H, W).
        objects: Bool, of shape (B, H, W).
        draws: Masks that are drawn for each image, from a seed of their own.

    Returns:
        The mean of ``mask_overlap`` over the draws, by name; 0 for random masks. Under
        ``BEST`` what masks would reach that know the objects.
    """
    inputs = method.data_preprocessor(dict(inputs=images), False)['inputs']
    scores = torch.cat([method.scorer(method.backbone, x) for x in inputs.split(32)])
    patch = method.backbone.patch_size
    shares = F.avg_pool2d(objects.float()[:, None], patch).flatten(1)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        best = TopKSampler()(shares, method.mask_ratio).mask
        found = {BEST: mask_overlap(best, objects, patch).item()}
        for name, sampler in samplers.items():
            masks = [sampler(scores, method.mask_ratio).mask for _ in range(draws)]
            values = [mask_overlap(mask, objects, patch) for mask in masks]
            found[name] = torch.stack(values).mean().item()
    return found
