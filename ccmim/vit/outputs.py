"""What downstream tasks ask a backbone for: feature maps, timm's names, depths.

B batch, N patches, H W image, P patch side, D width.
"""

from collections.abc import Sequence
from typing import Any, Literal

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor

from ccmim.ranges import in_ranges
from ccmim.vit.attention import ALL


class BackboneOutputs:
    """Maps for dense tasks, and names of timm (``timm.models.VisionTransformer``).

    Attributes:
        default_cfg: Size and normalization of the images that its weights are for,
            as ``timm.data.resolve_model_data_config`` reads them.
    """

    default_cfg: dict[str, Any]

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """The same as ``default_cfg``."""
        return self.default_cfg

    @property
    def num_features(self) -> int:
        """Width D of the features."""
        return self.embed_dim

    @property
    def head_hidden_size(self) -> int:
        """Width of what a head gets: D."""
        return self.embed_dim

    @property
    def num_prefix_tokens(self) -> int:
        """Number of tokens before the patches."""
        return self.num_prefix

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Width and stride of each block's output."""
        return [
            dict(
                module=f'blocks.{i}', num_chs=self.embed_dim, reduction=self.patch_size
            )
            for i in range(self.depth)
        ]

    def make_default_cfg(self) -> dict[str, Any]:
        """Describe what a new network takes: images normalized as ImageNet's."""
        sides = (side * self.patch_size for side in self.grid)
        return dict(
            input_size=(self.patch_embed.proj.in_channels, *sides),
            mean=IMAGENET_DEFAULT_MEAN,
            std=IMAGENET_DEFAULT_STD,
            interpolation='bicubic',
            crop_pct=224 / 256,
            num_classes=0,
            first_conv='patch_embed.proj',
            classifier='head',
        )

    @property
    def num_layers(self) -> int:
        """Number of depths for layer decay: the embedding, each block, what follows."""
        return self.depth + 2

    def layer_id(self, name: str) -> int:
        """Return the depth of a parameter by its name within this module.

        Args:
            name: Such as ``blocks.3.mlp.fc1.weight``.

        Returns:
            0 for the embedding, i + 1 for block i, ``num_layers - 1`` for the rest.
        """
        if name.startswith(
            ('cls_token', 'reg_token', 'pos_embed', 'patch_embed.', 'norm_pre.')
        ):
            return 0
        if name.startswith('blocks.'):
            return int(name.split('.')[1]) + 1
        return self.num_layers - 1

    def unseen(self) -> dict[str, Any]:
        """Describe what the weights do not show: arguments and ``num_heads``."""
        size = [side * self.patch_size for side in self.grid]
        return dict(
            num_heads=self.blocks[0].attn.num_heads,
            img_size=size[0] if size[0] == size[1] else size,
            norm_eps=self.blocks[0].norm1.eps,
            act=self.act,
            pos_embed=self.pos_kind,
            pos_resample=self.pos_resample,
            rope_theta=self.rope_theta,
            attention=self.attention,
        )

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute blocks in the backward pass, or do not."""
        self.with_cp = enable

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps for dense tasks.

        Args:
            images: Normalized images of shape (B, 3, H, W).

        Returns:
            One map of shape (B, D, ceil(H / P), ceil(W / P)) for each of
            ``out_indices``, before the final norm unless ``out_norm``.
        """
        rows, columns = grid = self.grid_of(images)
        wanted = self.out_indices or (self.depth - 1,)
        normed = self.out_norm or not self.out_indices
        x = self.embed(images)
        x = self.norm_pre(x) if self.window_size else self.start(x)
        maps: dict[int, Tensor] = {}
        for i in range(max(wanted) + 1):
            if self._window(i):
                run = self.blocks[i].forward_windows
                x = self._run(run, x, grid, self.window_size)
            else:
                x = self._run(self.blocks[i], x, ALL, grid)
            if i in wanted:
                patches = self.norm(x) if normed else x
                patches = patches[:, -rows * columns :].transpose(1, 2)
                maps[i] = patches.reshape(
                    images.shape[0], self.embed_dim, rows, columns
                )
        return tuple(maps[i] for i in wanted)

    def run(
        self,
        block: int,
        x: Tensor,
        grid: tuple[int, int],
        seen: Tensor | None = None,
    ) -> Tensor:
        """Run one block on tokens (B, T, D), the patches of a grid the last of them.

        Args:
            block: Its number, counted from 0.
            x: What ``start`` gives, or the block before; other tokens may be in front.
            grid: Rows and columns of the patches.
            seen: See ``Block.forward``.

        Returns:
            Tokens of shape (B, T, D).
        """
        return self._run(self.blocks[block], x, ALL, grid, seen)

    def forward_features(self, images: Tensor) -> Tensor:
        """Compute all tokens after the final norm.

        Args:
            images: Normalized images of shape (B, 3, H, W).

        Returns:
            Of shape (B, ``num_prefix_tokens`` + N, D).
        """
        return self.forward_intermediates(images, [])[0]

    @in_ranges
    def forward_intermediates(
        self,
        images: Tensor,
        indices: int | Sequence[int] | None = None,
        return_prefix_tokens: bool = False,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: Literal['NCHW', 'NLC'] = 'NCHW',
        intermediates_only: bool = False,
    ) -> Any:
        """Compute the output of some blocks.

        Args:
            images: Normalized images of shape (B, 3, H, W).
            indices: Blocks from 0, negative ones from the end; the last n of a number,
                all when None.
            return_prefix_tokens: Whether class token and registers come beside each.
            norm: Whether the final norm is applied to each.
            stop_early: Whether no block runs behind the last one asked for.
            output_fmt: 'NCHW' for maps (B, D, H / P, W / P), 'NLC' for rows (B, N, D).
            intermediates_only: Whether the final tokens are left out.

        Returns:
            The final tokens and the list of outputs, or the list alone. With prefix
            tokens each output is a pair.

        Raises:
            ValueError: If there is no such block, or no such format.
        """
        wanted = self._block_numbers(indices)
        grid, prefix = self.grid_of(images), self.num_prefix
        last = max(wanted, default=-1) if stop_early else self.depth - 1
        x, maps = self.start(self.embed(images)), {}
        for i in range(last + 1):
            x = self._run(self.blocks[i], x, ALL, grid)
            if i in wanted:
                tokens = self.norm(x) if norm else x
                rows = tokens[:, prefix:]
                if output_fmt == 'NCHW':
                    rows = rows.transpose(1, 2).unflatten(2, grid).contiguous()
                maps[i] = (rows, tokens[:, :prefix]) if return_prefix_tokens else rows
        outputs = [maps[i] for i in wanted]
        return outputs if intermediates_only else (self.norm(x), outputs)

    def _block_numbers(self, indices: int | Sequence[int] | None) -> list[int]:
        if indices is None:
            return list(range(self.depth))
        if isinstance(indices, int):
            if not 1 <= indices <= self.depth:
                raise ValueError(f'indices={indices} must lie in [1, {self.depth}]')
            return list(range(self.depth - indices, self.depth))
        if wrong := [i for i in indices if not -self.depth <= i < self.depth]:
            raise ValueError(f'indices: there is no block {wrong[0]} of {self.depth}')
        return sorted({i % self.depth for i in indices})
