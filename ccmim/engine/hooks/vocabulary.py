"""Build the vocabulary of captions before a run begins."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ccmim.registry import HOOKS


@HOOKS.register_module()
class VocabularyHook(Hook):
    """Make the vocabulary of ``model.tokenizer`` of the captions of the training set.

    Once: one that was read from a file, or lies in the checkpoint that a run begins
    from or resumes, stays. Every process makes the same one.
    """

    def before_train(self, runner: Runner) -> None:
        """Build it unless there is one."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if model.tokenizer.is_ready:
            return
        captions = runner.train_dataloader.dataset.captions
        # Images of a class share their sentences: each of them counts once.
        model.tokenizer.learn({text for texts in captions for text in texts})
