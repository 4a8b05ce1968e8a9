"""Tiny models of the methods with mask tokens, and a slow encoder as their oracle."""

import math

import pytest
import torch

BACKBONE = dict(
    type='ccmim.VisionTransformer',
    arch=dict(embed_dim=32, depth=2, num_heads=2),
    img_size=64,
)
MASKED = dict(
    backbone=BACKBONE,
    scorer=dict(type='ccmim.ConstantScorer'),
    sampler=dict(
        type='ccmim.UnitSampler', sampler=dict(type='ccmim.RandomSampler'), img_size=64
    ),
    mask_token=dict(type='ccmim.MaskToken', dim=32),
)
TINY_SIMMIM = dict(
    MASKED,
    type='ccmim.SimMIM',
    decoder=dict(type='ccmim.LinearHead', in_dim=32, out_dim=768),
    reconstruction=dict(
        type='ccmim.PixelReconstruction', norm_pix=False, error='absolute'
    ),
    mask_ratio=0.5,
)

TINY_MASKDISTILL = dict(
    MASKED,
    type='ccmim.MaskDistill',
    teacher=dict(
        type='ccmim.ViTTeacher',
        backbone=dict(BACKBONE, arch=dict(embed_dim=24, depth=1, num_heads=2)),
    ),
    sampler=dict(type='ccmim.BlockSampler', img_size=64, min_area=2),
    decoder=dict(type='ccmim.LinearHead', in_dim=32),
    distillation=dict(type='ccmim.FeatureDistillation'),
    mask_ratio=0.4,
)

TINY_CONMIM = dict(
    MASKED,
    type='ccmim.ConMIM',
    projector=dict(type='ccmim.ProjectionHead', in_dim=32, hidden_dim=48, out_dim=8),
    perturbation=dict(type='ccmim.ColourPerturbation'),
    contrast=dict(type='ccmim.PatchContrast', temperature=0.5),
    slow=dict(momentum=0.996),
    mask_ratio=0.5,
)


@pytest.fixture
def tiny_simmim(builder):
    """Build a tiny SimMIM, with changed arguments if any are given."""
    return builder(TINY_SIMMIM)


@pytest.fixture
def tiny_maskdistill(builder):
    """Build a tiny MaskDistill, with changed arguments if any are given."""
    return builder(TINY_MASKDISTILL)


@pytest.fixture
def tiny_conmim(builder):
    """Build a tiny ConMIM, with changed arguments if any are given."""
    return builder(TINY_CONMIM)


@pytest.fixture
def slow_encode():
    """Encode images patch by patch in the order of the grid, hidden ones as a token."""
    return _slow_encode


def _slow_encode(vit, images, mask=None, token=None):
    batch, side, columns = len(images), vit.patch_size, images.shape[-1] // 16
    rows = []
    for b in range(batch):
        row = [vit.cls_token[0, 0]]
        for i in range(vit.pos_embed.shape[1] - 1):
            top, left = side * (i // columns), side * (i % columns)
            patch = images[b, :, top : top + side, left : left + side]
            proj = vit.patch_embed.proj
            embedded = (proj.weight * patch).sum((1, 2, 3)) + proj.bias
            hidden = mask is not None and mask[b, i]
            row.append(token[0, 0] if hidden else embedded)
        rows.append(torch.stack(row))
    x = torch.stack(rows) + vit.pos_embed
    for block in vit.blocks:
        x = _slow_block(block, x)
    return vit.norm(x)


def _slow_block(block, x):
    batch, length, dim = x.shape
    heads = block.attn.num_heads
    qkv = block.attn.qkv(block.norm1(x)).reshape(batch, length, 3, heads, dim // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    attention = torch.einsum('bhnc,bhmc->bhnm', q, k) / math.sqrt(dim // heads)
    mixed = torch.einsum('bhnm,bhmc->bnhc', attention.softmax(-1), v)
    x = x + block.attn.proj(mixed.reshape(batch, length, dim))
    return x + block.mlp(block.norm2(x))
