"""Export a whole classifier or segmentor to ONNX.

B batch, H W image, C classes.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from ccmim import __version__
from ccmim.classification.predictor import ClassPredictor
from ccmim.dense.predictions import Predictor, config_of
from ccmim.export.onnx import _require, write_graph

_SEGMENTORS = ('EncoderDecoder', 'EoMTSegmentor', 'EoMT')


class Whole(nn.Module):
    """A trained network that takes photos: RGB in 0..255, (B, 3, H, W).

    Args:
        file: Checkpoint of a run of a classifier or segmentor.
        size: Height and width of the photos; those of the config when None.

    Raises:
        ValueError: If it is of another kind, or the size fits no patches.
    """

    def __init__(self, file: str | Path, size: tuple[int, int] | None = None) -> None:
        super().__init__()
        cfg = config_of(file)
        kind = str(cfg.model.type).rpartition('.')[2]
        self.is_classifier = kind == 'Classifier'
        if self.is_classifier:
            predictor: Any = ClassPredictor(cfg, file)
        elif kind in _SEGMENTORS:
            predictor = Predictor(cfg, file)
        else:
            raise ValueError(
                f'{file}: classifiers and segmentors are exported as a whole, and this '
                f'is a {kind}: leave out --whole for its backbone'
            )
        self.classes = predictor.classes
        self.model = predictor.model.eval()
        self.has_queries = kind.startswith('EoMT')
        self.outputs = ('probabilities',) if self.is_classifier else ('classes',)
        if kind == 'EoMT':
            self.outputs = ('class_logits', 'mask_logits')
        self.size = list(size or _size_of(cfg, self.model.backbone))
        patch = self.model.backbone.patch_size
        if any(side % patch for side in self.size):
            raise ValueError(f'--size {self.size} must be of multiples of {patch}')
        own = self.model.data_preprocessor
        self.register_buffer('mean', own.mean.clone(), persistent=False)
        self.register_buffer('std', own.std.clone(), persistent=False)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Give probabilities (B, C), or the number of each pixel's class (B, H, W).

        Of an EoMT of objects the logits of its queries' classes (B, Q, C + 1), the last
        of no object, and of their masks (B, Q, h, w).
        """
        inputs = (images - self.mean) / self.std
        if self.is_classifier:
            return self.model(inputs).softmax(1)
        if self.has_queries:
            found = self.model.extract_feat(inputs)
            logits, masks = found[0][-1], found[1][-1]
            if len(self.outputs) == 2:
                return logits, masks
            # Bilinear before the sum, as in testing.
            masks = F.interpolate(masks, size=self.size, mode='bilinear').sigmoid()
            shares = logits.softmax(-1)[..., :-1].transpose(1, 2)  # (B, C, Q)
            return (shares @ masks.flatten(2)).argmax(1).unflatten(1, self.size)
        head = self.model.decode_head
        scores = head(self.model.extract_feat(inputs))
        scores = F.interpolate(
            scores,
            size=self.size,
            mode='bilinear',
            align_corners=self.model.align_corners,
        )
        return scores.argmax(1)


def export_whole(whole: Whole, path: str | Path) -> int:
    """Write the graph, for batches of any size; arguments as of ``export_onnx``."""
    said = dict(
        version=__version__,
        images='RGB in 0..255, float32',
        classes='\n'.join(whole.classes),
    )
    dynamic = {0: torch.export.Dim('batch', max=2**31)}
    example = torch.zeros(2, 3, *whole.size)
    return write_graph(whole, example, dynamic, whole.outputs, path, said)


def compare_whole(whole: Whole, path: str | Path, batch: int = 3) -> float:
    """Compute how far onnxruntime's answers are from PyTorch's.

    Args:
        whole: What was written.
        path: The ``.onnx`` file.
        batch: Images to compare, of seeded noise.

    Returns:
        The largest difference of a probability; of maps the share of pixels that are
        of another class.
    """
    runtime = _require('onnxruntime')
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    generator = torch.Generator().manual_seed(0)
    images = 255 * torch.rand(batch, 3, *whole.size, generator=generator)
    given = session.run(list(whole.outputs), {'images': images.numpy()})
    with torch.no_grad():
        ours = whole(images)
    if isinstance(ours, tuple):
        pairs = zip(ours, map(torch.from_numpy, given), strict=True)
        return max((a - b).abs().max().item() for a, b in pairs)
    theirs = torch.from_numpy(given[0])
    if whole.is_classifier:
        return (ours - theirs).abs().max().item()
    return (ours != theirs).double().mean().item()


def _size_of(cfg: Config, backbone: nn.Module) -> tuple[int, int]:
    size = cfg.model.data_preprocessor.get('size')
    if size is not None:
        return tuple(size)
    return tuple(side * backbone.patch_size for side in backbone.grid)
