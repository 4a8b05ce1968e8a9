"""Export a whole classifier, detector or segmentor to ONNX.

B batch, H W image, C classes.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from ccmim import __version__
from ccmim.classification.predictor import ClassPredictor
from ccmim.data.image import decode_image
from ccmim.data.sources import read_file
from ccmim.dense.predictions import tested_images
from ccmim.dense.predictor import Predictor, config_of
from ccmim.export.onnx import _require, write_graph
from ccmim.pictures.tiles import resized

_SEGMENTORS = ('EncoderDecoder', 'EoMTSegmentor')
_MARGIN = 1e-3  # scores as near to the threshold may be on either side of it


class Whole(nn.Module):
    """A trained network that takes photos: RGB in 0..255, (B, 3, H, W).

    Args:
        file: Checkpoint of a run of a classifier, detector or segmentor.
        size: Height and width of the photos; those of the config when None.

    Attributes:
        classes: Their names.
        outputs: Names of what it gives.
        size: Height and width of the photos.
        detector: What finds objects, in one photo at a time; None of other kinds.

    Raises:
        ValueError: If the model is not supported, or the size does not fit the patches.
    """

    def __init__(self, file: str | Path, size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.cfg = cfg = config_of(file)
        kind = str(cfg.model.type).rpartition('.')[2]
        self.is_classifier = kind == 'Classifier'
        if self.is_classifier:
            predictor: Any = ClassPredictor(cfg, file)
        elif kind in _SEGMENTORS or cfg.get('default_scope') == 'mmdet':
            predictor = Predictor(cfg, file)
        else:
            raise ValueError(
                f'{file}: classifiers, detectors and segmentors are exported as a '
                f'whole, and this is a {kind}: leave out --whole for its backbone'
            )
        self.classes = predictor.classes
        self.model = predictor.model.eval()
        self.size = list(size or _size_of(cfg, self.model.backbone))
        patch = self.model.backbone.patch_size
        if any(side % patch for side in self.size):
            raise ValueError(f'--size {self.size} must be of multiples of {patch}')
        own = self.model.data_preprocessor
        self.register_buffer('mean', own.mean.clone(), persistent=False)
        self.register_buffer('std', own.std.clone(), persistent=False)
        self.has_queries = kind.startswith('EoMT')
        self.detector: Any = None
        self.outputs = ('probabilities',) if self.is_classifier else ('classes',)
        if kind == 'EoMT' and self.model.num_stuff_classes:
            self.outputs = ('class_logits', 'mask_logits')
        elif not self.is_classifier and kind not in _SEGMENTORS:
            from ccmim.dense.graph_detector import Detector  # imports mmdet

            self.detector = Detector(self.model, self.size)
            self.outputs = self.detector.outputs

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return probabilities (B, C), or the class index of each pixel (B, H, W).

        Of one photo (B = 1) the objects that a detector finds, see `Detector`. Of a
        panoptic EoMT the logits of its queries' classes (B, Q, C + 1), the last of no
        object, and of their masks (B, Q, h, w).
        """
        inputs = (images - self.mean) / self.std
        if self.is_classifier:
            return self.model(inputs).softmax(1)
        if self.detector is not None:
            return self.detector(inputs)
        if self.has_queries:
            outputs = self.model.extract_feat(inputs)
            logits, masks = outputs[0][-1], outputs[1][-1]
            if len(self.outputs) == 2:
                return logits, masks
            # Bilinear before the sum, as in testing.
            masks = F.interpolate(masks, size=self.size, mode='bilinear').sigmoid()
            probs = logits.softmax(-1)[..., :-1].transpose(1, 2)  # (B, C, Q)
            return (probs @ masks.flatten(2)).argmax(1).unflatten(1, self.size)
        head = self.model.decode_head
        scores = head(self.model.extract_feat(inputs))
        scores = F.interpolate(
            scores,
            size=self.size,
            mode='bilinear',
            align_corners=self.model.align_corners,
        )
        return scores.argmax(1)

    def predict(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the same; for a detector as mmdet computes it."""
        if self.detector is None:
            return self(images)
        return self.detector.predict((images - self.mean) / self.std)


def export_whole(whole: Whole, path: str | Path) -> int:
    """Write the graph; arguments as of ``export_onnx``.

    It takes batches of any size, and of a detector one photo.
    """
    metadata = dict(
        version=__version__,
        images='RGB in 0..255, float32',
        classes='\n'.join(whole.classes),
    )
    if whole.detector is not None:
        metadata['boxes'] = 'x1, y1, x2, y2 in pixels'
        return write_graph(
            whole, torch.zeros(1, 3, *whole.size), {}, whole.outputs, path, metadata
        )
    dynamic = {0: torch.export.Dim('batch', max=2**31)}
    example = torch.zeros(2, 3, *whole.size)
    return write_graph(whole, example, dynamic, whole.outputs, path, metadata)


def compare_whole(whole: Whole, path: str | Path, batch: int = 3) -> tuple[float, int]:
    """Compute how far onnxruntime's answers are from PyTorch's.

    Args:
        whole: What was written.
        path: The ``.onnx`` file.
        batch: Images to compare: a detector's test photos where they are on this
            machine, else seeded noise.

    Returns:
        The largest difference of a probability; of maps the share of pixels that are
        of another class; of objects that of scores and of boxes as shares of the
        photo, 1 if one is found by one alone. And how many answers were compared.
    """
    runtime = _require('onnxruntime')
    session = runtime.InferenceSession(str(path), providers=['CPUExecutionProvider'])

    def run(images: Tensor) -> list[Tensor]:
        given = session.run(list(whole.outputs), {'images': images.numpy()})
        return [torch.from_numpy(each) for each in given]

    if whole.detector is not None:
        images = _photos(whole, batch)
        with torch.no_grad():
            pairs = [(whole.predict(x[None]), run(x[None])) for x in images]
        differences = [_apart(ours, theirs, whole.size) for ours, theirs in pairs]
        return max(differences), sum(len(ours[1]) for ours, _ in pairs)
    generator = torch.Generator().manual_seed(0)
    images = 255 * torch.rand(batch, 3, *whole.size, generator=generator)
    given = run(images)
    with torch.no_grad():
        ours = whole(images)
    if isinstance(ours, tuple):
        pairs = zip(ours, given, strict=True)
        return max((a - b).abs().max().item() for a, b in pairs), batch
    if whole.is_classifier:
        return (ours - given[0]).abs().max().item(), batch
    return (ours != given[0]).double().mean().item(), batch


def _photos(whole: Whole, count: int) -> Tensor:
    names: list[str] = []
    if 'test_dataloader' in whole.cfg:
        with suppress(OSError):  # they are not on this machine
            names = tested_images(whole.cfg, count)
    if not names:
        generator = torch.Generator().manual_seed(0)
        return 255 * torch.rand(count, 3, *whole.size, generator=generator)
    photos = [decode_image(read_file(name)) for name in names]
    photos = [torch.tensor(resized(photo, whole.size)) for photo in photos]
    return torch.stack(photos).permute(0, 3, 1, 2).float()


def _apart(
    ours: Sequence[Tensor], theirs: Sequence[Tensor], size: Sequence[int]
) -> float:
    """Compute how far each object is from the nearest that the other side has.

    Those that hardly pass the threshold, or are hardly among the most, do not count.
    """
    rows = [
        torch.cat([x[0] / max(size), x[1][:, None], x[2][:, None].float()], 1)
        for x in (ours, theirs)
    ]
    scores = torch.cat([ours[1], theirs[1]])
    if not len(scores):
        return 0.0
    least = scores.min() + _MARGIN
    differences = [0.0]
    for one, other in (rows, rows[::-1]):
        sure = one[one[:, 4] > least]
        if len(sure) and not len(other):
            return 1.0
        if len(sure):
            nearest = torch.cdist(sure, other, p=torch.inf).amin(1)
            differences.append(nearest.max().item())
    return min(max(differences), 1.0)


def _size_of(cfg: Config, backbone: nn.Module) -> tuple[int, int]:
    size = cfg.model.data_preprocessor.get('size')
    if size is not None:
        return tuple(size)
    return tuple(side * backbone.patch_size for side in backbone.grid)
