"""The Vision Transformer, for pretraining and every downstream task.

B batch, H W image, P patch side, N patches, D width.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ccmim.precision import no_grad
from ccmim.ranges import Count, Index, Positive, RatioBelowOne, Sides
from ccmim.registry import MODELS
from ccmim.vit.archs import (
    Arch,
    ArchName,
    check_choices,
    check_prefix,
    require_all,
    resolve_arch,
    resolve_grid,
    whole_grid_option,
)
from ccmim.vit.attention import ALL, refuse_scores
from ccmim.vit.block import Block, LayerNorm, make_attention
from ccmim.vit.embedding import TokenEmbedding, note_grid, resample_loaded_positions
from ccmim.vit.initial import Pretrained, draw_weights, freeze_unused, load_pretrained
from ccmim.vit.lora import add_lora
from ccmim.vit.outputs import BackboneOutputs
from ccmim.vit.rel_pos import resample_loaded_tables


@MODELS.register_module()
class VisionTransformer(TokenEmbedding, BackboneOutputs, BaseModule):
    """Vision Transformer whose parameters carry timm's and MAE's names.

    Pretraining calls ``embed``, ``class_attention`` and ``encode``; a dense task calls
    ``forward``. The class token is known in here only: everywhere else a token is a
    patch. What a dense task's ``forward`` does not use (later blocks, the final norm,
    with windows the class token) is frozen, so that distributed training needs no
    search for unused parameters.

    Args:
        arch: Name in ``ARCHS`` or a dict with ``embed_dim``, ``depth``, ``num_heads``.
        img_size: Side or (height, width) in pixels for which positions are held,
            unless ``pos_size`` is; for other sizes they are resampled on the fly.
        patch_size: Side P of a patch in pixels.
        in_chans: Channels of an image.
        pos_embed: 'sincos' for fixed positions, 'learned' for trained ones, 'rotary'
            for DINOv3's, or 'none'.
        out_indices: Blocks, counted from 0, whose feature maps ``forward`` returns.
            When empty it returns one map, of the last block after the final norm.
        out_norm: Whether the final norm is applied to each returned map.
        window_size: Side in patches of the attention windows in ``forward``; 0 for
            global attention everywhere.
        global_blocks: Blocks that keep global attention when ``window_size`` is set.
        drop_path_rate: Stochastic depth of the last block, rising linearly from 0.
        drop_path_subset: Whether samples that skip a branch are not computed; as many
            skip it in each step then. See ``DropPath``.
        frozen_stages: -1 trains all, 0 freezes the embedding, k also k blocks.
        with_cp: Whether blocks are recomputed in the backward pass to save memory.
        mlp_ratio: Width of the MLPs in units of the width D.
        qkv_bias: Whether queries, keys and values have a bias.
        layer_scale_init: First value of factors, one a channel, that scale each branch
            of a block (0.1 in BEiT, 1e-5 in DINOv2); no such factors when None.
        rel_pos_bias: Whether each block holds a table of relative positions as BEiT's
            does: for its window, else for ``rel_pos_size``. Other sizes are resampled.
        attention: 'softmax'; 'rel_pos' for the same with ViTDet's decomposed relative
            positions; or 'lisa' for structure-aware attention at log-linear cost. The
            latter two hold tables likewise.
        rel_pos_size: Side or (height, width) in pixels for which blocks without windows
            hold relative positions; ``img_size`` when None.
        pos_size: Likewise for absolute positions. In detection, where images are much
            larger than in pretraining, that of pretraining.
        final_norm: Whether there is a norm after the last block.
        norm_eps: What the norms add to the variance.
        act: Activation of the MLPs, a name in ``ccmim.vit.block.ACTS``; 'swiglu' has a
            gate.
        class_token: Whether there is a class token; without, the average of the
            patches takes its place in what ``encode`` returns.
        reg_tokens: Number of register tokens (https://arxiv.org/abs/2309.16588), which
            no method gets to see.
        pre_norm: Whether there is a norm before the first block, as in CLIP.
        qk_norm: Whether queries and keys are normed, each head by itself.
        rope_theta: Longest period of rotary positions.
        pos_resample: How positions are fitted to another grid: 'antialiased' as timm
            does, 'bicubic' as Hugging Face does, 'dinov2' as DINOv2's code does.
        weight_init: How the first weights are drawn, a name in
            ``ccmim.vit.initial.DRAWS``.
        lora: Rank of adapters in the blocks, next to which nothing of the network is
            trained; 0 for none. See ``add_lora``.
        freeze_patch_embed: Whether the embedding of the patches stays as it is drawn or
            loaded, which steadies contrastive learning (MoCo v3).
        init_cfg: ``dict(checkpoint=FILE, allow_missing=[...])`` loads a file strictly;
            ``resize_patch=True`` resamples patches of another side. See
            ``ccmim.checkpoints.load_backbone``.

    Raises:
        ValueError: If a value is out of range or two do not fit together.
    """

    def __init__(
        self,
        arch: ArchName | Arch = 'base',
        img_size: Sides = 224,
        patch_size: Count = 16,
        in_chans: Count = 3,
        pos_embed: Literal['sincos', 'learned', 'rotary', 'none'] = 'sincos',
        out_indices: Sequence[Index] = (),
        out_norm: bool = False,
        window_size: Index = 0,
        global_blocks: Sequence[Index] = (),
        drop_path_rate: RatioBelowOne = 0.0,
        drop_path_subset: bool = False,
        frozen_stages: Annotated[int, Ge(-1)] = -1,
        with_cp: bool = False,
        mlp_ratio: Positive = 4.0,
        qkv_bias: bool = True,
        layer_scale_init: Positive | None = None,
        rel_pos_bias: bool = False,
        attention: Literal['softmax', 'rel_pos', 'lisa'] = 'softmax',
        rel_pos_size: Sides | None = None,
        pos_size: Sides | None = None,
        final_norm: bool = True,
        norm_eps: Positive = 1e-6,
        act: Literal['gelu', 'gelu_tanh', 'quick_gelu', 'relu', 'swiglu'] = 'gelu',
        class_token: bool = True,
        reg_tokens: Index = 0,
        pre_norm: bool = False,
        qk_norm: bool = False,
        rope_theta: Positive = 100.0,
        pos_resample: Literal['antialiased', 'bicubic', 'dinov2'] = 'antialiased',
        weight_init: Literal['xavier', 'mae', 'beit', 'moco'] = 'xavier',
        lora: Index = 0,
        freeze_patch_embed: bool = False,
        init_cfg: Pretrained | None = None,
    ) -> None:
        super().__init__(init_cfg)
        arch = resolve_arch(arch)
        self.embed_dim, self.depth = arch['embed_dim'], arch['depth']
        self.patch_size = patch_size
        self.grid = resolve_grid(pos_size or img_size, patch_size)
        check_choices(self.depth, out_indices, global_blocks, frozen_stages)
        self.out_indices, self.out_norm = tuple(out_indices), out_norm
        self.window_size, self.global_blocks = window_size, frozenset(global_blocks)
        self.frozen_stages, self.with_cp = frozen_stages, with_cp
        self.attention = attention
        rotary = pos_embed == 'rotary'
        self.needs_all = whole_grid_option(attention, rel_pos_bias, rotary)
        self.pos_kind, self.pos_resample, self.act = pos_embed, pos_resample, act
        self.rope_theta = rope_theta
        self.class_token, self.reg_tokens = class_token, reg_tokens
        check_prefix(self, rel_pos_bias, qk_norm)
        held = resolve_grid(rel_pos_size or img_size, patch_size)

        self.add_embedding(in_chans)
        sizes = self.embed_dim, arch['num_heads']
        rates = np.linspace(0, drop_path_rate, self.depth).tolist()
        self.blocks = nn.ModuleList(
            Block(
                *sizes,
                mlp_ratio,
                qkv_bias,
                rate,
                layer_scale_init,
                norm_eps,
                make_attention(
                    attention,
                    *sizes,
                    qkv_bias,
                    self._window(i) or held,
                    rel_pos_bias,
                    rope_theta if rotary else None,
                    norm_eps if qk_norm else None,
                ),
                drop_path_subset,
                act,
            )
            for i, rate in enumerate(rates)
        )
        self.norm_pre, self.norm = (
            LayerNorm(self.embed_dim, eps=norm_eps) if there else nn.Identity()
            for there in (pre_norm, final_norm)
        )
        self.default_cfg = self.make_default_cfg()
        draw_weights(self, pos_embed == 'learned', weight_init)
        self.patch_embed.requires_grad_(not freeze_patch_embed)
        self.register_state_dict_post_hook(note_grid)
        if lora:
            add_lora(self, lora)
        freeze_unused(self, self.out_indices, out_norm, window_size, frozen_stages)
        if lora and not any(value.requires_grad for value in self.parameters()):
            raise ValueError(
                f'lora={lora} would train nothing, as frozen_stages={frozen_stages} '
                'freezes all blocks: leave out one of them'
            )
        self.lora = lora
        self.register_load_state_dict_pre_hook(resample_loaded_positions)
        self.register_load_state_dict_pre_hook(resample_loaded_tables)

    def encode(
        self, tokens: Tensor, class_only: bool = False, block: int | None = None
    ) -> Tensor:
        """Encode any subset of an image's tokens together with a class token.

        Args:
            tokens: Tokens of ``embed``, of shape (B, n, D), in any order; with
                relative positions all of an image of ``img_size``, row by row.
            class_only: Whether only the class token is wanted: the last block then
                computes nothing else.
            block: The last block to run, counted from 0; all when None.

        Returns:
            Tokens of shape (B, 1 + n, D), the class token first, or (B, 1, D): normed
            after all blocks, as they are after ``block``. Without a class token the
            first is the average of the others. Registers are left out.

        Raises:
            ValueError: If there is no such block.
        """
        require_all(tokens, self.grid, self.needs_all)
        last = self.depth - 1 if block is None else block
        if not 0 <= last < self.depth:
            raise ValueError(f'block={block} must lie in [0, {self.depth - 1}]')
        x = self.start(tokens)
        for i in range(last):
            x = self._run(self.blocks[i], x, ALL, self.grid)
        rows = slice(1) if class_only and self.class_token else ALL
        x = self._run(self.blocks[last], x, rows, self.grid)
        if block is None:
            x = self.norm(x)
        if self.class_token and not self.reg_tokens:
            return x
        patches = x[:, self.num_prefix :]
        first = x[:, :1] if self.class_token else patches.mean(dim=1, keepdim=True)
        return first if class_only else torch.cat([first, patches], dim=1)

    @no_grad()
    def class_attention(
        self, tokens: Tensor, blocks: Sequence[int], direction: str = 'row'
    ) -> Tensor:
        """Measure the attention between the class token and each patch.

        Runs no further than the last block asked for, of which only queries and keys
        are formed. No gradient.

        Args:
            tokens: All tokens of the images, of shape (B, N, D).
            blocks: Blocks to look at, counted from 0.
            direction: 'row' for how much the class token attends to a patch, 'column'
                for how much a patch attends to the class token.

        Returns:
            Attention averaged over heads, of shape (B, len(blocks), N), in [0, 1], in
            ascending order of the blocks.
        """
        refuse_scores(self.attention, self.class_token)
        require_all(tokens, self.grid, self.needs_all)
        x = self.start(tokens)
        options = direction, self.grid, self.num_prefix
        rows: list[Tensor] = []
        for i in range(max(blocks)):
            x, scores = self.blocks[i].forward_scored(x, *options)
            if i in blocks:
                rows.append(scores)
        rows.append(self.blocks[max(blocks)].score(x, *options))
        return torch.stack(rows, dim=1)

    def init_weights(self) -> None:
        """Load the checkpoint that ``init_cfg`` names, if it names one."""
        load_pretrained(self)

    def train(self, mode: bool = True) -> 'VisionTransformer':
        """Switch training mode; frozen blocks stay in evaluation mode."""
        super().train(mode)
        for block in self.blocks[: max(self.frozen_stages, 0)]:
            block.eval()
        return self

    def _window(self, block: int) -> tuple[int, int] | None:
        windowed = self.window_size and block not in self.global_blocks
        return (self.window_size, self.window_size) if windowed else None

    def _run(self, function: Any, *args: Any) -> Tensor:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(function, *args, use_reentrant=False)
        return function(*args)
