"""The published code that the user may have cloned. It is run, and nothing is copied.

``DIR/ccMIM`` from https://github.com/Sherrylone/ccMIM, ``DIR/mae`` from
https://github.com/facebookresearch/mae, ``DIR/HPM`` from
https://github.com/Haochen-Wang409/HPM and ``DIR/mmpretrain`` from
https://github.com/open-mmlab/mmpretrain.

B batch, N patches.
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from ccmim.checkpoints import to_ccmim
from ccmim.masking import TokenSplit
from ccmim.vit.archs import resolve_arch


class Peer(NamedTuple):
    """A clone and what it computes.

    Attributes:
        folder: Its name as ``git clone`` gives it.
        code: What the table calls it.
        method: Our method that computes the same.
        module: Module of the network.
        build: Makes the network from the module, in the shape of our method's config.
        loss: Computes, of a network and normalized images (B, 3, H, W), the loss that
            the clone trains; with a mask of ours as well, what the gate compares.
        rename: Our names of its parameters; those without are not compared.
        compared: The part of the loss that the gate compares.
        engine: Module of the training loop, if that is timed too.
        needs: Packages that it imports and we do not: what to install, by module.
    """

    folder: str
    code: str
    method: str
    module: str
    build: Callable[[ModuleType, ConfigDict], nn.Module]
    loss: Callable[..., Tensor]
    rename: Callable[[Iterable[str]], dict[str, str]]
    compared: str = 'loss'
    engine: str | None = 'engine_pretrain'
    needs: Mapping[str, str] = MappingProxyType({})


def _mae_like(
    models: ModuleType, cfg: ConfigDict, name: str, extra: dict[str, Any]
) -> nn.Module:
    decoder = cfg.decoder
    return getattr(models, name)(
        img_size=cfg.backbone.img_size,
        patch_size=cfg.backbone.get('patch_size', 16),
        **resolve_arch(cfg.backbone.arch),
        decoder_embed_dim=decoder.embed_dim,
        decoder_depth=decoder.depth,
        decoder_num_heads=decoder.num_heads,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        norm_pix_loss=True,
        **extra,
    )


def _flat_names(names: Iterable[str]) -> dict[str, str]:
    names = list(names)
    return dict(zip(names, to_ccmim(dict.fromkeys(names)), strict=True))


def _loss_of_ccmim(
    model: nn.Module, images: Tensor, split: TokenSplit | None = None
) -> Tensor:
    contrast, reconstruction, *_ = model(images, mask_ratio=0.75)
    return reconstruction + 0.1 * contrast


def _loss_of_mae(
    model: nn.Module, images: Tensor, split: TokenSplit | None = None
) -> Tensor:
    return model(images, mask_ratio=0.75)[0]


class _HardPatches(nn.Module):
    """What the published loop of HPM computes in a step, with its network and a copy.

    As in the middle of a run, when a quarter of the masked patches is chosen.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.teacher = copy.deepcopy(network).requires_grad_(False)

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the loss; with a mask (B, N), that of the reconstruction alone."""
        network, only_pixels = self.network, mask is not None
        if mask is None:
            mask = self._choose(images)
        out = network(images, mask=mask)
        hidden = -out['mask_num']
        losses = network.forward_loss(images, out['pix_pred'][:, hidden:], mask)
        if only_pixels:
            return losses['mean']
        return losses['mean'] + network.forward_learning_loss(
            out['loss_pred'][:, hidden:], mask, losses['matrix'].detach(), relative=True
        )

    @torch.no_grad()
    def _choose(self, images: Tensor) -> Tensor:
        pairs = zip(self.teacher.parameters(), self.network.parameters(), strict=True)
        for mean, weight in pairs:
            mean.copy_(mean * 0.9999 + weight * 0.0001)
        count = self.network.patch_embed.num_patches
        nothing = torch.zeros(len(images), count, dtype=torch.bool).to(images.device)
        predicted = self.teacher(images, mask=nothing)['loss_pred']
        mask = self.teacher.generate_mask(
            predicted, mask_ratio=0.75, guide=True, epoch=100, total_epoch=200
        )
        return mask.to(images.device).bool()


def _build_hpm(models: ModuleType, cfg: ConfigDict) -> nn.Module:
    return _HardPatches(_mae_like(models, cfg, 'MaskedAutoencoderViT', {}))


def _loss_of_hpm(
    model: nn.Module, images: Tensor, split: TokenSplit | None = None
) -> Tensor:
    return model(images, split.mask if split else None)


def _names_of_hpm(names: Iterable[str]) -> dict[str, str]:
    known = [n for n in names if n.startswith('network.') and 'losspred' not in n]
    flat = _flat_names(n.removeprefix('network.') for n in known)
    return dict(zip(known, flat.values(), strict=True))


def _build_mmpretrain(models: ModuleType, cfg: ConfigDict) -> nn.Module:
    arch, decoder = resolve_arch(cfg.backbone.arch), cfg.decoder
    side, patch = cfg.backbone.img_size, cfg.backbone.get('patch_size', 16)
    model = models.MAE(
        backbone=dict(
            type='mmpretrain.MAEViT',
            arch=dict(
                embed_dims=arch['embed_dim'],
                num_layers=arch['depth'],
                num_heads=arch['num_heads'],
                feedforward_channels=4 * arch['embed_dim'],
            ),
            img_size=side,
            patch_size=patch,
            mask_ratio=0.75,
        ),
        neck=dict(
            type='mmpretrain.MAEPretrainDecoder',
            num_patches=(side // patch) ** 2,
            patch_size=patch,
            embed_dim=arch['embed_dim'],
            decoder_embed_dim=decoder.embed_dim,
            decoder_depth=decoder.depth,
            decoder_num_heads=decoder.num_heads,
        ),
        head=dict(
            type='mmpretrain.MAEPretrainHead',
            norm_pix=True,
            patch_size=patch,
            loss=dict(type='mmpretrain.PixelReconstructionLoss', criterion='L2'),
        ),
    )
    model.init_weights()
    return model


def _loss_of_mmpretrain(
    model: nn.Module, images: Tensor, split: TokenSplit | None = None
) -> Tensor:
    return model.loss(images, None)['loss']


def _names_of_mmpretrain(names: Iterable[str]) -> dict[str, str]:
    changes = (
        (r'^neck\.decoder_norm1?\.|^neck\.ln1\.', 'decoder.norm.'),
        (r'^neck\.decoder_(\w)', r'decoder.\1'),
        (r'^neck\.', 'decoder.'),
        (r'^backbone\.ln1\.', 'backbone.norm.'),
        (r'^backbone\.layers\.', 'backbone.blocks.'),
        (r'patch_embed\.projection', 'patch_embed.proj'),
        (r'\.ln([12])\.', r'.norm\1.'),
        (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
        (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
    )

    def rename(name: str) -> str:
        for pattern, ours in changes:
            name = re.sub(pattern, ours, name)
        return name

    known = [name for name in names if name.startswith(('backbone.', 'neck.'))]
    return {name: rename(name) for name in known}


PEERS = (
    Peer(
        'ccMIM',
        'published',
        'ccmim',
        'models_ccmim',
        partial(
            _mae_like,
            name='AttnMaskedAutoencoderViT',
            extra=dict(args=SimpleNamespace(random=False, contrastive=True)),
        ),
        _loss_of_ccmim,
        _flat_names,
    ),
    Peer(
        'mae',
        'published',
        'mae',
        'models_mae',
        partial(_mae_like, name='MaskedAutoencoderViT', extra={}),
        _loss_of_mae,
        _flat_names,
    ),
    Peer(
        'HPM',
        'published',
        'hpm',
        'models_mae_learn_loss',
        _build_hpm,
        _loss_of_hpm,
        _names_of_hpm,
        compared='loss_reconstruction',
        engine=None,
        needs={'einops': 'einops'},
    ),
    Peer(
        'mmpretrain',
        'mmpretrain',
        'mae',
        'mmpretrain.models.selfsup.mae',
        _build_mmpretrain,
        _loss_of_mmpretrain,
        _names_of_mmpretrain,
        engine=None,
        needs={
            'einops': 'einops',
            'importlib_metadata': "'importlib-metadata<8'",
            'mat4py': 'mat4py',
            'modelindex': 'model-index',
        },
    ),
)
