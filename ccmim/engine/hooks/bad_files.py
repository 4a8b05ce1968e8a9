"""Write the list of images that a run could not use."""

from pathlib import Path

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ccmim.data.bad_files import BAD_FILES, BadFiles, by_kind, write_bad_files
from ccmim.data.seeded_samples import SeededSamples
from ccmim.data.unlabeled import UnlabeledImages, unlabeled_in
from ccmim.registry import HOOKS


@HOOKS.register_module()
class BadFilesHook(Hook):
    """List in ``bad_files.txt`` the images that cannot be used, while a run trains.

    Those of ``UnlabeledImages``, and of the labeled sets of mmdet and mmseg.

    A new run begins with what its ``exclude`` has left out, so that the list can be
    the ``exclude`` of the next run; a resumed one continues the list that is there.
    At the end of the run a line of the log counts the images by reason.
    """

    _images: UnlabeledImages | SeededSamples | None = None

    def before_train(self, runner: Runner) -> None:
        """Prepare the list, and pass it to the data set before the workers start."""
        dataset = runner.train_dataloader.dataset
        own = dataset if isinstance(dataset, SeededSamples) else None
        self._images = images = unlabeled_in(dataset) or own
        if images is None:
            return
        path = Path(runner.work_dir) / BAD_FILES
        if is_main_process() and (runner.iter == 0 or not path.exists()):
            path.unlink(missing_ok=True)
            if images.excluded:
                write_bad_files(path, images.excluded)
        barrier()
        images.bad.files = BadFiles(path)

    def after_run(self, runner: Runner) -> None:
        """Count the images by reason; also called when a signal stops the run."""
        images = self._images
        if images is None or images.bad.files is None or not is_main_process():
            return
        listed = BadFiles(images.bad.files.path)
        reasons = [
            reason
            for name, reason in listed.reasons.items()
            if name not in images.excluded
        ]
        if reasons:
            runner.logger.info(
                f'skipped {len(reasons):,} of {len(images):,} images: '
                f'{by_kind(reasons)} ({listed.path})'
            )
