"""Weights that a run starts from: all of a model, or its backbone."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

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
        own = set(model.state_dict())
        state = checkpoint.get('state_dict', checkpoint)
        names = {str(name).removeprefix('module.') for name in state}
        backbone = getattr(model, 'backbone', None)
        wanted = {name for name in own if name.startswith('backbone.')} or own
        if wanted & names:
            runner.logger.info(
                f'load_from={runner._load_from}: {len(own & names)} of {len(own)} '
                'weights of the model are in the file'
            )
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
