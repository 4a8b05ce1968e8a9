"""timm's interface of a Vision Transformer.

B batch, N patches, H W image, P patch side, D width.
"""

from collections.abc import Sequence
from typing import Any, Literal

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor

from ccmim.ranges import in_ranges
from ccmim.vit.attention import ALL


class TimmNames:
    """Names of timm (``timm.models.VisionTransformer``) for a backbone of ours.

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

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute blocks in the backward pass, or do not."""
        self.with_cp = enable

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
