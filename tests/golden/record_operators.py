"""Record what compiled mmcv computes, for tests/operators/test_operators.py.

    CCMIM_OPS=mmcv python tests/golden/record_operators.py > tests/golden/operators.json

All inputs come from the formulae below, so that the file holds only results.
"""

import itertools
import json
from pathlib import Path

import torch
from torch import Tensor

BATCH, CHANNELS, HEIGHT, WIDTH = 2, 2, 7, 9
# Image and corners, four pixels of it to one of the map: inside, with a fraction, the
# whole map, over two edges, far outside, a line, a point, over the other two edges.
ROIS = [
    [0, 4, 4, 20, 16],
    [0, 5.3, 2.9, 31.7, 21.2],
    [0, 0, 0, 36, 28],
    [1, -9.5, -6.2, 13.1, 11.9],
    [1, 60, 60, 90, 80],
    [0, 8, 4, 8, 20],
    [1, 12.5, 9.5, 12.5, 9.5],
    [1, 17.1, 8.6, 44, 40],
]
SIZE, SCALE = (2, 3), 0.25
ALIGN = list(itertools.product((True, False), (0, 2), ('float32', 'float64')))
NMS = list(itertools.product((0, 1), (0.3, 0.5, 0.7), (0, 16, 160)))


def wave(shape: tuple[int, ...], phase: float) -> Tensor:
    """Numbers around one half that no pattern of the shape repeats, in float64."""
    index = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (0.5 + 0.5 * torch.sin(0.7 * index + 0.013 * index**2 + phase)).view(shape)


def plain(tensor: Tensor) -> list[float]:
    """All numbers of a tensor, to twelve digits."""
    return [float(f'{x:.12g}') for x in tensor.flatten().tolist()]


def align(aligned: bool, ratio: int, dtype: str) -> tuple[Tensor, Tensor]:
    """RoIAlign of mmcv and the gradient of its maps."""
    from mmcv.ops import roi_align

    kind = getattr(torch, dtype)
    maps = wave((BATCH, CHANNELS, HEIGHT, WIDTH), 0).to(kind).requires_grad_()
    rois = torch.tensor(ROIS, dtype=kind)
    pooled = roi_align(maps, rois, SIZE, SCALE, ratio, 'avg', aligned)
    pooled.backward(wave(tuple(pooled.shape), 1).to(kind))
    return pooled.detach(), maps.grad


def crowd(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Overlapping boxes, their scores, and classes.

    Up to 16 the scores take four values: of more, mmcv sorts equal ones at will.
    """
    corner = 20 * wave((number, 2), 2)
    boxes = torch.cat([corner, corner + 4 + 6 * wave((number, 2), 3)], 1).float()
    scores = wave((number,), 4)
    if number <= 16:
        scores = (scores * 4).floor() / 4
    return boxes, scores.float(), torch.arange(number) % 3


def suppress(offset: int, threshold: float, number: int) -> list[int]:
    """Ids that NMS of mmcv keeps of the crowd."""
    from mmcv.ops import nms

    boxes, scores, _ = crowd(number)
    return nms(boxes, scores, threshold, offset)[1].tolist()


def suppress_by_class() -> list[int]:
    """Ids that batched NMS of mmcv keeps of the crowd."""
    from mmcv.ops import batched_nms

    boxes, scores, classes = crowd(160)
    config = dict(type='nms', iou_threshold=0.4)
    return batched_nms(boxes, scores, classes, config)[1].tolist()


def detector(config: str) -> dict:
    """Losses and gradients of a small detector for two pictures, and what it finds.

    Args:
        config: Of a detector with a mask head, with a tiny backbone.
    """
    import mmdet.models
    import numpy as np
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope
    from mmengine.structures import InstanceData

    from ccmim.engine.settings import fit_sizes

    assert mmdet.models
    cfg = Config.fromfile(Path(__file__).parents[2] / 'mm_configs' / config)
    cfg.model.backbone.pop('arch')
    changes = dict(arch=dict(embed_dim=32, depth=2, num_heads=2), img_size=64)
    changes.update(init_cfg=None, out_indices=(1,), window_size=0, global_blocks=())
    changes.update(drop_path_rate=0.0, pos_size=None)
    cfg.merge_from_dict({f'model.backbone.{k}': v for k, v in changes.items()})
    fit_sizes(cfg)
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model)
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            fan = parameter[0].numel() if parameter.ndim > 1 else 400
            parameter.copy_((wave(tuple(parameter.shape), i) - 0.5) * 2 / fan**0.5)
            # Norms of weight about one, so that signals live.
            if parameter.ndim == 1 and i % 2:
                parameter.add_(0.5)
    boxes = torch.tensor([[4.0, 6.0, 30.0, 40.0], [28.0, 20.0, 62.0, 58.0]])
    masks = np.zeros((2, 64, 64), dtype=np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.int(), strict=True):
        mask[top:bottom, left:right] = 1
    meta = dict(img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1.0, 1.0))
    data = {'inputs': [], 'data_samples': []}
    for number in range(2):
        picture = (255 * wave((3, 64, 64), 5 + number)).to(torch.uint8)
        truth = InstanceData(
            bboxes=boxes.clone(),
            labels=torch.zeros(2, dtype=torch.long),
            masks=BitmapMasks(masks, 64, 64),
        )
        sample = DetDataSample(metainfo=dict(meta, img_id=number), gt_instances=truth)
        data['inputs'].append(picture)
        data['data_samples'].append(sample)
    torch.manual_seed(0)
    losses = model(**model.data_preprocessor(data, True), mode='loss')
    parsed, logged = model.parse_losses(losses)
    parsed.backward()
    model.eval()
    with torch.no_grad():
        found = model(**model.data_preprocessor(data), mode='predict')
    instances = [sample.pred_instances for sample in found]
    return {
        'losses': {name: value.item() for name, value in logged.items()},
        'gradients': {
            name: plain(parameter.grad.norm())[0]
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        },
        'scores': [plain(x.scores[:20]) for x in instances],
        'boxes': [plain(x.bboxes[:20]) for x in instances],
        'mask_pixels': [x.masks[:20].flatten(1).sum(1).tolist() for x in instances],
    }


DETECTORS = (
    'small/mask_rcnn_vitt_penn_fudan.py',
    'small/cascade_mask_rcnn_vitt_penn_fudan.py',
)


def main() -> None:
    """Print the file."""
    from mmcv import _ext

    import ccmim  # noqa: F401

    assert not _ext.__file__.endswith('.py'), 'this mmcv has no compiled operators'
    values = [[plain(x) for x in align(*case)] for case in ALIGN]
    recorded = {
        'align': values,
        'nms': [suppress(*case) for case in NMS],
        'batched_nms': suppress_by_class(),
        'detectors': [detector(config) for config in DETECTORS],
    }
    print(json.dumps(recorded))


if __name__ == '__main__':
    main()
