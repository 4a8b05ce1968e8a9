"""Count operations and parameters of a model without running it.

Matrix products, convolutions and attention; a multiplication and an addition are two
operations, where OpenMMLab counts them as one.
"""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ccmim.classification import Classifier
from ccmim.masking import ConstantScorer, StoredScorer
from ccmim.methods import PretrainMethod
from ccmim.teachers import ColorPerturbation


def count_flops(run: Callable[[], Any]) -> int:
    """Count the operations of a call, its backward pass included if it makes one."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def build_shapes(cfg: Config) -> nn.Module:
    """Build the model of a config without memory: shapes alone.

    Args:
        cfg: Any of this project; no checkpoint that it names is read.

    Raises:
        ValueError: If it has no model.
    """
    if 'model' not in cfg:
        raise ValueError(f'{cfg.filename} has no model: give a config that trains one')
    scope = cfg.get('default_scope') or 'mmengine'
    with torch.device('meta'), DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(cfg.model)
    # What changes colors or is known already has few products to count, and draws
    # numbers or looks up images, which shapes cannot.
    replace_parts(model, ColorPerturbation, nn.Identity)
    replace_parts(model, StoredScorer, ConstantScorer)
    return model


def replace_parts(
    model: nn.Module, kind: type[nn.Module], new: Callable[[], nn.Module]
) -> None:
    """Put a new part in the place of each part of a kind, whatever its name."""
    for parent in list(model.modules()):
        for name, part in parent.named_children():
            if isinstance(part, kind):
                setattr(parent, name, new())


def training_flops(model: nn.Module, height: int, width: int) -> float:
    """Count a training step of a pretraining method, an image.

    Args:
        model: From ``build_shapes``.
        height: Of the images in pixels; of two views one above the other, of both.
        width: Of the images in pixels.
    """
    images = torch.empty(2, 3, height, width, device='meta')  # contrast needs two

    def step() -> None:
        losses = model.train()(images, mode='loss')
        sum(value for name, value in losses.items() if 'loss' in name).backward()

    return count_flops(step) / len(images)


@torch.no_grad()
def forward_flops(model: nn.Module, height: int, width: int) -> dict[str, int]:
    """Count the forward pass of one image, part by part.

    Of a two-stage detector the heads see as many boxes as the config lets through: all
    proposals, and masks for all detections.

    Args:
        model: From ``build_shapes``: a pretraining method (its backbone), a classifier,
            segmentor or detector.
        height: Of the image in pixels.
        width: Of the image in pixels.

    Returns:
        Operations by the name of the part.
    """
    image = torch.empty(1, 3, height, width, device='meta')
    kept: list[Any] = []  # what the parts computed

    def count(run: Callable[[], Any]) -> int:
        return count_flops(lambda: kept.append(run()))

    model.eval()
    if isinstance(model, Classifier):
        linear = [m for m in model.head.modules() if isinstance(m, nn.Linear)]
        return dict(
            backbone=count(lambda: model.features(image)),
            head=sum(2 * layer.weight.numel() for layer in linear),
        )
    parts = {'backbone': count(lambda: model.backbone(image))}
    if isinstance(model, PretrainMethod):
        return parts
    if encode := getattr(_head_of(model), 'encode', None):  # EoMT runs the blocks
        parts['queries'] = count(lambda: encode(model.backbone, image))
        parts['queries'] -= parts['backbone']
        return parts
    for name in ('neck', 'decode_head', 'bbox_head', 'rpn_head'):  # OpenMMLab's names
        if isinstance(part := dict(model.named_children()).get(name), nn.Module):
            maps = kept[1 if 'neck' in parts else 0]
            parts[name] = count(lambda part=part, maps=maps: part(maps))
    if 'rpn_head' in parts:
        parts |= _of_boxes(model, count)
    return parts


def _head_of(model: nn.Module) -> Any:
    children = dict(model.named_children())
    return children.get('panoptic_head') or children.get('decode_head')


def _of_boxes(model: nn.Module, count: Callable) -> dict[str, int]:
    head = model.roi_head
    limits = dict(
        bbox=model.test_cfg.rpn.max_per_img, mask=model.test_cfg.rcnn.max_per_img
    )
    parts = {}
    for kind, number in limits.items():
        if not getattr(head, f'with_{kind}'):
            continue
        stages = _stages(getattr(head, f'{kind}_head'))
        extractors = _stages(getattr(head, f'{kind}_roi_extractor'))
        total = 0
        for stage, extractor in zip(stages, extractors, strict=True):
            side = extractor.roi_layers[0].output_size
            boxes = torch.empty(number, extractor.out_channels, *side, device='meta')
            total += count(lambda stage=stage, boxes=boxes: stage(boxes))
        parts[f'{kind}_head'] = total
    return parts


def _stages(part: nn.Module) -> list[nn.Module]:
    return list(part) if isinstance(part, nn.ModuleList) else [part]
