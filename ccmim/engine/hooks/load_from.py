"""Load the weights of ``load_from``: a whole model, or its backbone."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ccmim.checkpoints.eomt import is_eomt, load_eomt
from ccmim.checkpoints.load import load_backbone
from ccmim.vit import VisionTransformer


class LoadFromHook(Hook):
    """Read a file of ``load_from`` that fits no key as a backbone's, or refuse it.

    mmengine loads what fits and continues where nothing does, with a warning for each
    key: a plain ViT file left the whole network random.
    """

    priority = 'VERY_HIGH'  # before EMAHook, which copies what is loaded

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare the names in the file with those of the model.

        Raises:
            ValueError: If no part of the model takes the weights.
        """
        if runner._resume:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if head := eomt_head(model, checkpoint):
            load_eomt(model.backbone, head, runner._load_from)
            checkpoint['state_dict'] = model.state_dict()
            return
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        own = set(shapes)
        state = checkpoint.get('state_dict', checkpoint)
        names = {str(name).removeprefix('module.') for name in state}
        backbone = getattr(model, 'backbone', None)
        wanted = {name for name in own if name.startswith('backbone.')} or own
        if wanted & names:
            runner.logger.info(
                f'load_from={runner._load_from}: {len(own & names)} of {len(own)} '
                'weights of the model are in the file'
            )
            _drop_others(state, shapes, runner)
            return
        if not isinstance(backbone, VisionTransformer):
            raise ValueError(
                f'load_from={runner._load_from} holds none of the {len(own)} weights '
                f'of {type(model).__name__}, such as {min(own)}: name a checkpoint of '
                'such a model'
            )
        load_backbone(backbone, runner._load_from)
        runner.logger.info(
            f'load_from={runner._load_from} was read as a backbone; the rest of '
            f'{type(model).__name__} starts anew'
        )
        checkpoint['state_dict'] = {
            f'backbone.{name}': value for name, value in backbone.state_dict().items()
        }


def eomt_head(model: Any, content: dict[str, Any]) -> Any:
    """Return the head of an EoMT where a file is a published one, else None.

    Args:
        model: Any model.
        content: What was read.
    """
    head = getattr(model, 'panoptic_head', None) or getattr(model, 'decode_head', None)
    return head if hasattr(head, 'query') and is_eomt(content) else None


def _drop_others(state: dict[str, Any], shapes: dict[str, Any], runner: Runner) -> None:
    """Leave tensors of other shapes out, and say so in a line; mmengine lists them."""
    others = {}
    for name in list(state):
        wanted = shapes.get(str(name).removeprefix('module.'))
        if wanted is not None and state[name].shape != wanted:
            others[name] = f'{tuple(state.pop(name).shape)}, not {tuple(wanted)}'
    if others:
        first = next(iter(others))
        runner.logger.warning(
            f'load_from={runner._load_from} is of another head: {len(others)} weights '
            f'start anew, such as {first} ({others[first]})'
        )
