"""How often the contrast of a run finds the right key.

n samples of a process, C channels.
"""

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.hooks import RemovableHandle

from ccmim.engine.hooks.deferred_log import line_is_due
from ccmim.losses import PatchContrast, TwoViewContrast
from ccmim.registry import HOOKS


def pair_accuracy(queries: Tensor, keys: Tensor) -> Tensor:
    """Compute the share of queries whose nearest key, by cosine, is their own.

    Args:
        queries: Of shape (n, C).
        keys: In the same order, of shape (n, C).

    Returns:
        Scalar in [0, 1]; about 1 / n by chance.
    """
    found = (queries.float() @ normalize(keys.float(), dim=1).T).argmax(dim=1)
    return (found == torch.arange(len(found), device=found.device)).float().mean()


def view_accuracy(views: Tensor) -> Tensor:
    """Compute the share of views whose nearest other one is of the same image.

    Args:
        views: The first views of all images, then the second ones, of shape (n, C).

    Returns:
        Scalar in [0, 1]; about 1 / (n - 1) by chance.
    """
    views = normalize(views.float(), dim=1)
    found = (views @ views.T).fill_diagonal_(-torch.inf).argmax(dim=1)
    ids = torch.arange(len(found), device=found.device)
    return (found == ids.roll(len(ids) // 2)).float().mean()


@HOOKS.register_module()
class ContrastAccuracyHook(Hook):
    """Log ``contrast_accuracy``: the share of images that are told from all others.

    Of those of a process's batch, at steps of which a line is logged, from what the
    method computes anyway; other steps cost nothing. Methods that contrast no images
    log nothing.
    """

    priority = 55  # before the logger

    def __init__(self) -> None:
        self._due = False
        self._seen: list[Tensor] = []
        self._handle: RemovableHandle | None = None
        self._accuracy: Any = pair_accuracy

    def before_train(self, runner: Runner) -> None:
        """Watch the contrast of the method."""
        wrapped = is_model_wrapper(runner.model)
        method = runner.model.module if wrapped else runner.model
        contrast = getattr(method, 'contrast', None)
        if contrast is None or isinstance(contrast, PatchContrast):
            return
        if isinstance(contrast, TwoViewContrast):
            self._accuracy = view_accuracy
            self._watch(contrast, lambda inputs, output: inputs[:1])
        elif projector := getattr(contrast, 'projector', None):
            # Called for the queries, then for the keys.
            self._watch(projector, lambda inputs, output: [output])
        else:
            self._watch(contrast, lambda inputs, output: inputs[:2])

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Look at this step if a line will be logged."""
        self._due = self._handle is not None and line_is_due(runner, batch_idx)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Log what was seen."""
        seen, self._seen = self._seen, []
        if seen:
            share = float(self._accuracy(*seen).cpu().numpy())
            runner.message_hub.update_scalar('train/contrast_accuracy', share)
        self._due = False

    def after_train(self, runner: Runner) -> None:
        """Let go of the method."""
        if self._handle is not None:
            self._handle.remove()

    def _watch(self, part: nn.Module, pick: Any) -> None:
        def note(module: nn.Module, inputs: tuple, output: Any) -> None:
            if self._due and len(self._seen) < 2:  # of several masks the first
                self._seen += [tensor.detach() for tensor in pick(inputs, output)]

        self._handle = part.register_forward_hook(note)
