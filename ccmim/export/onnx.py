"""Export the backbone's features to ONNX, and compare them with PyTorch's.

B batch, H W image, D width.
"""

import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim import __version__
from ccmim.checkpoints import Architecture, Weights
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
        size: Height and width of the images in pixels; any multiples of the patch side
            when None, where the positions allow that, else those of the training.
        normalize: Whether images come in 0..255 and are normalized inside, as the
            weights ask.
        half: Whether to compute in float16; images and features are float32.

    Raises:
        ValueError: If the size is no multiple of the patch side.
    """

    def __init__(
        self,
        weights: Weights,
        size: Sequence[int] | None = None,
        normalize: bool = True,
        half: bool = False,
    ) -> None:
        super().__init__()
        architecture, state = weights.architecture, dict(weights.state)
        self.is_dynamic = size is None and _takes_any_size(architecture)
        size = size or architecture.img_size
        self.vit = VisionTransformer(**architecture.options() | {'img_size': size})
        if 'pos_embed' in state:
            held = resolve_grid(architecture.img_size, architecture.patch_size)
            table = resample_pos_embed(state['pos_embed'], held, self.vit.grid)
            state['pos_embed'] = table
        self.vit.load_state_dict(state)
        self.eval()
        self.size = [side * self.vit.patch_size for side in self.vit.grid]
        mean, std = (torch.tensor(x).view(-1, 1, 1) for x in weights.pixels)
        self.pixels = weights.pixels if normalize else None
        self.register_buffer('mean', mean, persistent=False)
        self.register_buffer('std', std, persistent=False)
        self.is_half = half
        if half:
            self.vit.half()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features of images (B, 3, H, W), after the final norm.

        Returns:
            Class tokens of shape (B, D) and maps of shape (B, D, H / P, W / P).
        """
        if self.pixels is not None:
            images = (images - self.mean) / self.std
        if self.is_half:
            images = images.half()
        embedded = self._embed(images)
        tokens = self.vit.encode(embedded).float()
        side = self.vit.patch_size
        grid = (images.shape[2] // side, images.shape[3] // side)
        maps = tokens[:, 1:].transpose(1, 2).unflatten(2, grid)
        return tokens[:, 0], maps

    def _embed(self, images: Tensor) -> Tensor:
        """Embed patches; positions of any grid are resampled where it is known."""
        if not self.is_dynamic or self.vit.pos_kind == 'none':
            return self.vit.embed(images)
        projected = self.vit.patch_embed.proj(images)  # (B, D, rows, columns)
        table = self.vit.pos_embed[:, 1:].float()
        table = table.transpose(1, 2).unflatten(2, self.vit.grid)
        smooth = self.vit.pos_resample == 'antialiased'
        table = F.interpolate(
            table, size=projected.shape[2:], mode='bicubic', antialias=smooth
        )
        return (projected + table.to(projected.dtype)).flatten(2).transpose(1, 2)


def _takes_any_size(architecture: Architecture) -> bool:
    """Whether positions can be resampled in the graph."""
    absolute = architecture.pos_embed in ('learned', 'sincos', 'none')
    relative = architecture.rel_pos_bias or architecture.attention != 'softmax'
    known = architecture.pos_resample in ('antialiased', 'bicubic')
    return absolute and known and not relative


def export_onnx(features: Features, path: str | Path) -> int:
    """Write the graph for batches of any size, and images of any where it is dynamic.

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
    size = sum(p.numel() * p.element_size() for p in features.state_dict().values())
    if size >= LIMIT:
        raise ValueError(f'{size / 1e9:.1f} GB of weights: an ONNX file holds 2.1 GB')
    side = features.vit.patch_size
    # Another size than the positions', which would be taken for the only one.
    sizes = [x + side * (i + 1) for i, x in enumerate(features.size)]
    example = torch.zeros(2, _channels(features), *_example_size(features, sizes))
    # torch 2.6 asks for an end, for it compares with the largest number.
    dynamic: dict[int, Any] = {0: torch.export.Dim('batch', max=2**31)}
    if features.is_dynamic:
        dynamic[2] = side * torch.export.Dim('rows', max=2**20)
        dynamic[3] = side * torch.export.Dim('columns', max=2**20)
    return write_graph(features, example, dynamic, OUTPUTS, path, _metadata(features))


def write_graph(
    module: nn.Module,
    images: Tensor,
    dynamic: Mapping[int, Any],
    outputs: Sequence[str],
    path: str | Path,
    metadata: Mapping[str, object],
) -> int:
    """Write a module of one input, ``images``, as an ONNX graph.

    Args:
        module: In evaluation mode.
        images: An example.
        dynamic: Sizes of the images that may be others, by dimension.
        outputs: Names of what it gives.
        path: The ``.onnx`` file; written wholly or not at all.
        metadata: What the file says of itself.

    Returns:
        Its size in bytes.
    """
    for name in ('onnx', 'onnxscript'):
        _require(name)
    # Parameters keep requires_grad: without it the linear layers of torch 2.6 ask for
    # the number of elements of a batch of any size.
    quiet = redirect_stdout(io.StringIO())
    with torch.no_grad(), warnings.catch_warnings(), quiet:
        warnings.simplefilter('ignore')
        program: Any = torch.onnx.export(
            module,
            (images,),
            input_names=['images'],
            output_names=list(outputs),
            dynamic_shapes=({**dynamic},),
            dynamo=True,
            optimize=True,  # the default from torch 2.7 on
            verbose=False,
        )
    proto = program.model_proto
    for name, value in metadata.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = f'ccmim.{name}', str(value)
    content = proto.SerializeToString()
    AtomicLocalBackend().put(content, path)
    return len(content)


def compare_with_onnx(features: Features, path: str | Path, batch: int = 3) -> float:
    """Compute the largest absolute difference of a file's features from PyTorch's.

    Args:
        features: What was written; in float32, whatever the file computes in.
        path: The ``.onnx`` file.
        batch: Images to compare, of seeded noise.

    Raises:
        MissingLibrary: If onnxruntime is not installed.
    """
    runtime = _require('onnxruntime')
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    exact = features
    if features.is_half:
        exact = deepcopy(features)
        exact.vit.float()
        exact.is_half = False
    sizes = [features.size]
    if features.is_dynamic:  # and at another height and width
        side = features.vit.patch_size
        sizes.append([features.size[0] + 2 * side, max(side, features.size[1] - side)])
    generator, largest = torch.Generator().manual_seed(0), 0.0
    for size in sizes:
        images = torch.rand(batch, _channels(features), *size, generator=generator)
        images = 255 * images if features.pixels else 2 * images - 1
        theirs = session.run(list(OUTPUTS), {'images': images.numpy()})
        with torch.no_grad():
            pairs = zip(exact(images), theirs, strict=True)
            errors = [(x - torch.from_numpy(y)).abs().max().item() for x, y in pairs]
        largest = max(largest, *errors)
    return largest


def _channels(features: Features) -> int:
    return features.vit.patch_embed.proj.in_channels


def _example_size(features: Features, others: Sequence[int]) -> Sequence[int]:
    return others if features.is_dynamic else features.size


def _metadata(features: Features) -> dict[str, object]:
    """Say what the file wants and gives, for whoever opens it."""
    pixels = features.pixels
    images = 'RGB in 0..255' if pixels else 'RGB, normalized'
    stated = dict(
        version=__version__,
        images=f'{images}, float32, sides of multiples of {features.vit.patch_size}',
        class_token=f'(batch, {features.vit.embed_dim})',
        patch_size=features.vit.patch_size,
        dtype='float16' if features.is_half else 'float32',
    )
    return stated | (pixels._asdict() if pixels else {})


def _require(name: str) -> Any:
    logging.getLogger('onnxscript').setLevel(logging.ERROR)
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingLibrary(
            f'{name} is not installed ({error}): '
            'pip install onnx onnxscript onnxruntime'
        ) from None
