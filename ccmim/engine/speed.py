"""How fast a run is, and whether it waits for its data."""

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ccmim.registry import HOOKS


@HOOKS.register_module()
class SpeedHook(Hook):
    """Log images per second of all processes, and the fraction of time spent waiting.

    ``loader_ratio`` near 0: the network is the bottleneck. Far from 0: the loader is;
    give it more workers or smaller files (``tools/shrink_images.py``).
    """

    priority = 55  # after the timer (NORMAL), before the logger (BELOW_NORMAL)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Divide a step's images by its time, and the waiting by it: of ten steps."""
        hub = runner.message_hub
        if 'train/time' not in hub.log_scalars:  # there is no timer
            return
        seconds = hub.get_scalar('train/time').mean(10)
        images = len(data_batch['inputs']) * get_world_size()
        hub.update_scalar('train/images_per_second', images / seconds)
        waited = hub.get_scalar('train/data_time').mean(10)
        hub.update_scalar('train/loader_ratio', waited / seconds)
