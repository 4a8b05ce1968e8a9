"""The backbone's features as an ONNX graph, and how far they are from PyTorch's.

B batch, H W image, D width.
"""

import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ccmim.checkpoints import Weights
from ccmim.checkpoints.atomic import AtomicLocalBackend
from ccmim.vit import VisionTransformer, resample_pos_embed
from ccmim.vit.archs import resolve_grid

LIMIT = 2**31  # bytes that a protobuf can hold
OUTPUTS = ('class_token', 'feature_map')


class MissingLibrary(ImportError):
    """A library that only the export needs is not installed."""


class Features(nn.Module):
    """A backbone that gives what is used elsewhere: the class token and the last map.

    Args:
        weights: The backbone.
        size: Height and width of the images in pixels; those that the weights were
            trained with by default. Positions are resampled once, here.

    Raises:
        ValueError: If the size is no multiple of the patch side.
    """

    def __init__(self, weights: Weights, size: Sequence[int] | None = None) -> None:
        super().__init__()
        architecture, state = weights.architecture, dict(weights.state)
        size = size or architecture.img_size
        self.vit = VisionTransformer(**architecture.options() | {'img_size': size})
        if 'pos_embed' in state:
            held = resolve_grid(architecture.img_size, architecture.patch_size)
            table = resample_pos_embed(state['pos_embed'], held, self.vit.grid)
            state['pos_embed'] = table
        self.vit.load_state_dict(state)
        self.eval().requires_grad_(False)
        self.size = [side * self.vit.patch_size for side in self.vit.grid]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features of normalized images (B, 3, H, W), after the final norm.

        Returns:
            Class tokens of shape (B, D) and maps of shape (B, D, H / P, W / P).
        """
        tokens = self.vit.encode(self.vit.embed(images))
        maps = tokens[:, 1:].transpose(1, 2).unflatten(2, self.vit.grid)
        return tokens[:, 0], maps


def export_onnx(features: Features, path: str | Path) -> int:
    """Write the graph for images of one size in batches of any.

    Args:
        features: What to write.
        path: The ``.onnx`` file; written wholly or not at all.

    Returns:
        Its size in bytes.

    Raises:
        MissingLibrary: If onnx or onnxscript is not installed.
        ValueError: If the weights are too large for one file.
        WriteError: If it cannot be written.
    """
    for name in ('onnx', 'onnxscript'):
        _require(name)
    size = sum(p.numel() * p.element_size() for p in features.state_dict().values())
    if size >= LIMIT:
        raise ValueError(f'{size / 1e9:.1f} GB of weights: an ONNX file holds 2.1 GB')
    example = torch.zeros(2, features.vit.patch_embed.proj.in_channels, *features.size)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        program: Any = torch.onnx.export(
            features,
            (example,),
            input_names=['images'],
            output_names=list(OUTPUTS),
            # torch 2.6 asks for an end, for it compares with the largest number.
            dynamic_shapes={'images': {0: torch.export.Dim('batch', max=2**31)}},
            dynamo=True,
            verbose=False,
        )
    content = program.model_proto.SerializeToString()
    AtomicLocalBackend().put(content, path)
    return len(content)


def compare_with_onnx(features: Features, path: str | Path, batch: int = 3) -> float:
    """Compute the largest absolute difference of a file's features from PyTorch's.

    Args:
        features: What was written.
        path: The ``.onnx`` file.
        batch: Images to compare, of seeded noise.

    Raises:
        MissingLibrary: If onnxruntime is not installed.
    """
    runtime = _require('onnxruntime')
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    shape = (batch, features.vit.patch_embed.proj.in_channels, *features.size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    theirs = session.run(list(OUTPUTS), {'images': images.numpy()})
    pairs = zip(features(images), theirs, strict=True)
    return max((ours - torch.from_numpy(t)).abs().max().item() for ours, t in pairs)


def _require(name: str) -> Any:
    logging.getLogger('onnxscript').setLevel(logging.ERROR)
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingLibrary(
            f'{name} is not installed ({error}): '
            'pip install onnx onnxscript onnxruntime'
        ) from None
