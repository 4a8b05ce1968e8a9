"""Check that model, training and validation have the same classes."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ccmim.registry import HOOKS


@HOOKS.register_module()
class ClassesHook(Hook):
    """Compare the classes of training, of validation and of the head.

    A class folder that is missing on one side shifts all numbers after it, which no
    later step would notice.
    """

    def before_train(self, runner: Runner) -> None:
        """Look at them once.

        Raises:
            ValueError: If they differ; the text says in what.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        classes = runner.train_dataloader.dataset.metainfo['classes']
        if len(classes) != model.head.num_classes:
            raise ValueError(
                f'the training set has {len(classes)} classes, the head tells '
                f'{model.head.num_classes} apart: set model.head.num_classes'
            )
        if runner.val_loop is None:
            return
        others = runner.val_dataloader.dataset.metainfo['classes']
        if others != classes:
            odd = sorted(set(classes) ^ set(others))
            raise ValueError(
                'training and validation have different classes'
                + (f', such as {odd[0]!r}' if odd else ' or another order of them')
                + ': set dataset.classes in both'
            )
