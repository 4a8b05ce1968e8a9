"""A run whose images do not come any more ends."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ccmim.ranges import NonNegative
from ccmim.registry import HOOKS


@HOOKS.register_module()
class LoaderTimeoutHook(Hook):
    """Give the loader workers a time in which a batch must come.

    A network disk that is gone, or a decoder that never ends, would let the run wait
    for ever. Other ranks wait meanwhile, for at most ten minutes by PyTorch's default:
    a shorter time lets the rank speak first that knows the cause.

    Args:
        seconds: The time, which begins anew with every batch; 0 for none. A loader
            that has a ``timeout`` keeps it, and one without workers needs none.
    """

    def __init__(self, seconds: NonNegative = 300) -> None:
        self._seconds = seconds

    def before_train(self, runner: Runner) -> None:
        """Set the time, before the workers start."""
        loader = runner.train_dataloader
        if loader.num_workers and not loader.timeout:
            loader.timeout = self._seconds
