"""Predict with a trained classifier, or a fitted linear probe."""

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from torch import Tensor, nn

from ccmim.checkpoints import load_file, refuse_nonfinite
from ccmim.checkpoints.atomic import AtomicLocalBackend
from ccmim.registry import MODELS, TRANSFORMS


class ClassPredictor:
    """Scores the classes of photos, as its run was tested.

    Args:
        cfg: Config of a classification.
        file: Checkpoint of a run of it.
        device: Where to compute.

    Attributes:
        model: The ``Classifier``.
        classes: Their names.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If it does not fit, or names no classes.
    """

    def __init__(self, cfg: Config, file: str | Path, device: str = 'cpu') -> None:
        content = load_file(file)
        self.classes = list(
            ((content.get('meta') or {}).get('dataset_meta') or {}).get('classes') or ()
        )
        if not self.classes:
            raise ValueError(f'{file} names no classes: no classifier wrote it')
        steps = cfg.test_dataloader.dataset.transform
        with DefaultScope.overwrite_default_scope('ccmim'):
            self.model = MODELS.build(cfg.model)
            self._steps = [TRANSFORMS.build(step) for step in steps]
        refuse_nonfinite(content.get('state_dict', {}), file)
        try:
            self.model.load_state_dict(content['state_dict'])
        except (RuntimeError, KeyError) as error:
            first = str(error).partition('\n')[2].strip().split('\n')[0]
            raise ValueError(
                f'{file} is no checkpoint of this classifier: {first[:200]}'
            ) from None
        self.model.to(device).eval()

    @torch.no_grad()
    def __call__(self, photo: Image.Image) -> Tensor:
        """Return the probability of each class, (C,), on the CPU."""
        for step in self._steps:
            photo = step(photo)
        batch = dict(inputs=photo[None], labels=torch.zeros(1, dtype=torch.long))
        inputs = self.model.data_preprocessor(batch, False)['inputs']
        return self.model(inputs)[0].float().softmax(0).cpu()


def write_probe(
    model: nn.Module,
    cfg: Config,
    classes: Sequence[str],
    probe: tuple[Tensor, Tensor, Tensor],
    file: Path,
) -> None:
    """Write a linear probe as a checkpoint of a ``Classifier``, as a run does.

    Args:
        model: A ``Classifier`` whose head has a batch norm; the head is replaced.
        cfg: Its config, with ``test_dataloader``; changed to that of the probe.
        classes: Their names.
        probe: What ``fit_probe`` gives, of the model's features.
        file: Where it goes.
    """
    weights, mean, std = (value.float() for value in probe)
    head = model.head
    head.norm.running_mean.copy_(mean)
    head.norm.running_var.copy_(std.square() - head.norm.eps)
    head.fc = nn.Linear(len(mean), weights.shape[1])
    head.fc.weight.data.copy_(weights[:-1].T)
    head.fc.bias.data.copy_(weights[-1])
    cfg.model.head.num_classes = weights.shape[1]
    named = dict(classes=list(classes)[: weights.shape[1]])
    meta = dict(dataset_meta=named, cfg=cfg.pretty_text)
    stream = io.BytesIO()
    torch.save(dict(state_dict=model.state_dict(), meta=meta), stream)
    AtomicLocalBackend().put(stream.getvalue(), file)
