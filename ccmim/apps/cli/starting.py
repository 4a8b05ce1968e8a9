"""Pretraining from initial weights, or with a teacher.

The rate of the backbone is a tenth of the recipe's when it begins from weights, and
1e-5 at most: the recipes' rates are for random weights, and undo in a warm-up what
others have learned in weeks. What is new (decoder, heads, mask token, adapters beside
frozen weights) is random and keeps the whole rate. An anchor keeps what patches know of
each other, where a method does not do so by itself. All of this is measured in
docs/results.md.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ccmim.checkpoints import Architecture
from ccmim.checkpoints.normalization import Pixels
from ccmim.checkpoints.sources import NAMED
from ccmim.data.image import require_rgb
from ccmim.engine.settings import check_recurrence, random_parts
from ccmim.vit import ARCHS

TAUGHT = ('relational_distill', 'maskdistill')  # need a teacher; the best first
GENTLE = 0.1  # of the recipe's rate, for a backbone that has learned already
GENTLE_RATE = 1e-5  # the most
UNANCHORED = 'ccmim', 'neco'  # better dense features at that rate without an anchor
# What weights decide of a backbone; what else a recipe sets (stochastic depth) stays.
_DECIDED = ('arch', 'patch_size', 'in_chans', 'pos_embed', 'mlp_ratio', 'qkv_bias')
_DECIDED += ('layer_scale_init', 'rel_pos_bias', 'final_norm', 'norm_eps', 'act')
_DECIDED += ('class_token', 'reg_tokens', 'pre_norm', 'qk_norm', 'rope_theta')
_DECIDED += ('pos_resample', 'attention', 'rel_pos_size')


def settle_method(args: Namespace) -> None:
    """Set the method where none is given: the best with a teacher, weights, neither."""
    best = TAUGHT[0] if args.teacher else 'ccmim' if args.init else 'mae'
    args.method = args.method or best


def start_from(
    cfg: Config,
    architecture: Architecture,
    weights: str,
    lora: int | None = None,
    pixels: Pixels | None = None,
) -> None:
    """Let a recipe begin from weights: their architecture, a gentle rate, an anchor.

    Args:
        cfg: Of a pretraining; changed in place.
        architecture: Of the weights.
        weights: Where they are.
        lora: Rank of adapters that are trained instead of the weights.
        pixels: How the weights want images to be normalized; by ImageNet's when None.
    """
    require_rgb(architecture.in_chans, weights)
    backbone, side = cfg.model.backbone, cfg.model.backbone.img_size
    for name in _DECIDED:
        backbone.pop(name, None)
    backbone.update(architecture.options())
    backbone.img_size = side
    cfg.model.data_preprocessor.update((pixels or Pixels()).as_lists())
    backbone.init_cfg = dict(type='Pretrained', checkpoint=weights)
    if (
        not isinstance(architecture.img_size, int)
        or architecture.pos_embed == 'learned'
    ):
        backbone.init_cfg['img_size'] = architecture.img_size
    _fit_units(cfg.model, architecture.patch_size, side // architecture.patch_size)
    if lora:
        backbone.lora = lora
    else:
        old = cfg.optim_wrapper.get('paramwise_cfg', {}).get('lr_mult', {})
        images = cfg.train_dataloader.batch_size / cfg.auto_scale_lr.base_batch_size
        rate = cfg.optim_wrapper.optimizer.lr * images
        factor = min(GENTLE, GENTLE_RATE / rate)
        rates = dict(lr_mult=dict(old, backbone=factor))
        cfg.merge_from_dict(dict(optim_wrapper=dict(paramwise_cfg=rates)))
    if cfg.model.type.lower() not in UNANCHORED:
        cfg.model.setdefault('anchor', dict(type='GramAnchor', weight=10.0))


def _fit_units(part: Any, patch: int, patches: int) -> None:
    """Make units of masking whole patches: at most as large, and dividing the side."""
    if not isinstance(part, dict):
        return
    if 'unit_size' in part:
        most = max(1, part['unit_size'] // patch)
        fits = [n for n in range(1, most + 1) if patches % n == 0]
        part['unit_size'] = patch * fits[-1]
    for inside in part.values():
        _fit_units(inside, patch, patches)


def learn_from(cfg: Config, weights: str, recurs: bool = False) -> None:
    """Add a teacher to a recipe; its architecture comes from its weights.

    Args:
        cfg: Of a pretraining; changed in place.
        weights: Where they are.
        recurs: Whether photos are seen whole, so that features can be kept.
    """
    cfg.model.teacher = dict(type='ViTTeacher', checkpoint=weights)
    if recurs:
        cfg.merge_from_dict(random_parts(cfg))


def keep_features(cfg: Config, folder: Path, gigabytes: float) -> None:
    """Let a recipe keep its teacher's features in a folder of at most so many GB."""
    kept = dict(folder=str(folder), gigabytes=gigabytes)
    cfg.model.teacher = dict(type='CachedTeacher', teacher=cfg.model.teacher, **kept)
    check_recurrence(cfg)


def nearest_size(width: int) -> str:
    """Name the size of a ViT whose recipe suits a width best."""
    return min(ARCHS, key=lambda name: abs(ARCHS[name]['embed_dim'] - width))


def absolute_weights(weights: str) -> str:
    """Write where weights are in a way that is right from any folder."""
    if weights.startswith(NAMED):
        return weights
    return str(Path(weights).expanduser().absolute())
