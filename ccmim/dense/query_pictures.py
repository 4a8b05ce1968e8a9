"""Pictures of the attention and masks of EoMT's queries.

B batch, Q queries, N patches, T tokens, H W image.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor
from torchvision.transforms import Compose

from ccmim.checkpoints import load_file
from ccmim.data import ResizeCenterCrop, ToUint8Tensor
from ccmim.data.image import decode_image
from ccmim.data.sources import read_file
from ccmim.pictures.saved_method import fill
from ccmim.pictures.tiles import enlarge, heat, sheet, tile_size


def load_eomt_run(cfg: Config, file: str | Path) -> Any:
    """Build the EoMT of a config and fill it from a checkpoint of its run.

    Raises:
        ValueError: If the config is of another model, or the file does not fit.
    """
    if not str(cfg.model.type).rpartition('.')[2].startswith('EoMT'):
        raise ValueError(f'queries are of EoMT, and --config is a {cfg.model.type}')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    content = load_file(file)
    fill(model, content.get('state_dict', content), file)
    return model.eval()


def draw_queries(
    cfg: Config, checkpoint: str | Path, names: Sequence[str], device: str
) -> np.ndarray:
    """Draw the queries of a run on photos of any size; see ``query_sheet``.

    Args:
        cfg: Config of the run.
        checkpoint: Its file.
        names: Files of the photos.
        device: Where the network runs.
    """
    model = load_eomt_run(cfg, checkpoint).to(device)
    sides = [side * model.backbone.patch_size for side in model.backbone.grid]
    bring = Compose([ResizeCenterCrop(sides, crop_ratio=1.0), ToUint8Tensor()])
    photos = [bring(decode_image(read_file(name))) for name in names]
    return query_sheet(model, torch.stack(photos))


@torch.no_grad()
def query_sheet(model: Any, images: Tensor, count: int = 3) -> np.ndarray:
    """Draw the masks and the attention of the surest queries of each photo.

    Args:
        model: From ``load_eomt_run``.
        images: uint8 RGB (B, 3, H, W), of whole patches.
        count: Queries of a photo.

    Returns:
        uint8 RGB pixels (height, width, 3).
    """
    scores, masks, attention = look_at_queries(model, images)
    grid = model.backbone.grid_of(images)
    size = tile_size(grid)
    photos = enlarge(images / 255, size)
    columns: dict[str, Any] = dict(image=list(photos))
    best = scores.topk(min(count, scores.shape[1])).indices  # (B, count)
    rows = torch.arange(len(images))
    for i, query in enumerate(best.T, 1):
        coverage = torch.nn.functional.adaptive_avg_pool2d(masks[rows, query], grid)
        columns[f'query {i}: mask'] = list(heat(coverage.flatten(1), grid, photos))
        seen = attention[rows, query]
        columns[f'query {i}: attention'] = list(heat(seen, grid, photos))
    return sheet(columns)


def look_at_queries(model: Any, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run an EoMT and keep what its queries attend to in the last block.

    Args:
        model: A detector or segmentor.
        images: uint8 RGB (B, 3, H, W), of whole patches.

    Returns:
        The probability of each query's likeliest class (B, Q); probabilities of its
        mask (B, Q, h, w); its attention to the patches (B, Q, N), averaged over heads.
    """
    head = getattr(model, 'panoptic_head', None) or model.decode_head
    backbone, pixels = model.backbone, model.data_preprocessor
    inputs: list[Tensor] = []
    block = backbone.blocks[-1]
    hook = block.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    try:
        normalized = (images.to(pixels.mean.device) - pixels.mean) / pixels.std
        classes, masks = head.encode(backbone, normalized)
    finally:
        hook.remove()
    x, grid = block.norm1(inputs[-1]), backbone.grid_of(images)
    q, k = block.attn.queries_keys(x, slice(head.num_queries), grid)
    weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)).softmax(-1).mean(1)
    scores = classes[-1].softmax(-1)[..., :-1].amax(-1)
    return scores, masks[-1].sigmoid(), weights[..., -grid[0] * grid[1] :]
