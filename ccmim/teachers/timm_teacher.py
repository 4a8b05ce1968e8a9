"""Features of a frozen timm model as targets.

B batch, N patches of the student, C channels of the teacher.
"""

import torch
from torch import Tensor, nn

from ccmim.checkpoints.normalization import MEAN, STD
from ccmim.ranges import Channels, HeightWidth, Spreads
from ccmim.registry import MODELS
from ccmim.teachers.frozen import (
    Frozen,
    Renormalize,
    require_weights,
    resize_images,
)


@MODELS.register_module()
class TimmTeacher(nn.Module):
    """Any model of timm, at the image size at which its last grid is the student's.

    Its last feature map counts: of a Vision Transformer or a CLIP the patch tokens
    after the final norm, or before it, without any projection. Images are brought to
    the teacher's own normalization. Nothing is downloaded unless ``pretrained`` asks
    for it.

    Args:
        model: Name in timm, such as ``vit_base_patch16_clip_224.openai``.
        grid: Rows and columns of the student's patches.
        checkpoint: File with the weights as timm names them, head included.
        pretrained: Whether timm downloads the weights.
        mean: What the data preprocessor subtracts, by channel, in 0..255.
        std: What it divides by, by channel.
        final_norm: Whether the final norm is applied.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If both sources of weights are given, timm has no such model, the
            file does not fit it, or its features have another grid.
    """

    def __init__(
        self,
        model: str,
        grid: HeightWidth,
        checkpoint: str | None = None,
        pretrained: bool = False,
        mean: Channels = MEAN,
        std: Spreads = STD,
        final_norm: bool = True,
    ) -> None:
        super().__init__()
        self.final_norm = final_norm
        if checkpoint and pretrained:
            raise ValueError('teacher has pretrained=True and a checkpoint: choose one')
        self.has_weights = bool(checkpoint) or pretrained
        network = _create(model, checkpoint, pretrained)
        stride = network.feature_info[-1]['reduction']
        self.size = [side * stride for side in grid]
        if hasattr(network, 'set_input_size'):
            network.set_input_size(img_size=self.size)
        self.frozen = Frozen(network)
        self.renormalize = Renormalize(mean, std, network.pretrained_cfg)
        rows, columns, self.out_dim = self._map(torch.zeros(1, 3, *self.size)).shape[1:]
        if [rows, columns] != list(grid):
            raise ValueError(
                f'teacher.model={model} gives {rows} x {columns} features for images '
                f'of {self.size}, the student has {grid[0]} x {grid[1]} patches'
            )

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Compute features (B, N, C) of normalized images (B, 3, H, W), row by row."""
        return self._map(resize_images(images, self.size)).flatten(1, 2)

    def init_weights(self) -> None:
        """Refuse to train from a teacher that knows nothing."""
        require_weights(self.has_weights, 'or pretrained=True to download it')

    @torch.no_grad()
    def _map(self, images: Tensor) -> Tensor:
        maps = self.frozen.network.forward_intermediates(
            self.renormalize(images),
            indices=1,
            norm=self.final_norm,
            output_fmt='NCHW',
            intermediates_only=True,
        )
        return maps[-1].permute(0, 2, 3, 1)


def _create(model: str, checkpoint: str | None, pretrained: bool) -> nn.Module:
    import timm

    if not timm.is_model(model):
        raise ValueError(f'teacher.model={model!r} is none of timm.list_models()')
    if not checkpoint:
        return timm.create_model(model, pretrained=pretrained)
    from ccmim.checkpoints import load_file, refuse_nonfinite

    state = load_file(checkpoint)
    state = next((state[k] for k in ('state_dict', 'model') if k in state), state)
    refuse_nonfinite(state, f'teacher.checkpoint={checkpoint}')
    try:
        # timm's own loading, for its conversion of foreign names; strict with a head.
        network = timm.create_model(
            model, pretrained=True, pretrained_cfg_overlay=dict(state_dict=state)
        )
    except RuntimeError as error:
        raise ValueError(
            f'teacher.checkpoint={checkpoint} does not fit {model}: {error}'
        ) from None
    network.pretrained_cfg.pop('state_dict', None)  # would keep the weights twice
    return network
