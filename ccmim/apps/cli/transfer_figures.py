"""The figures of a transfer's report: classes, confusions, photos, curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.device import get_device
from PIL import Image

from ccmim.apps.cli.quiet import no_messages
from ccmim.apps.compare.gains import Samples
from ccmim.apps.compare.scores import Score
from ccmim.apps.report.page import Details
from ccmim.apps.report.page_details import (
    class_table,
    draw_confusions,
    draw_fractions,
    draw_precision_recall,
)
from ccmim.classification.labels import FolderLabels
from ccmim.data.image import BadImageError, decode_image
from ccmim.data.sources import read_file
from ccmim.engine.config import read_config
from ccmim.evaluation.samples import Classified, Confusions, Matches
from ccmim.files import replacing
from ccmim.labels.layouts import Classes, Labeled
from ccmim.pictures.overlay import with_legend
from ccmim.pictures.tiles import resized, sheet

SCRATCH, PRETRAINED = 'from scratch', 'pretrained'
_PHOTOS, _CLASSIFIED, _TILE = 3, 9, 448  # shown of a task; pixels of a tile
_DETAILED = ('top-1', 'linear', 'k-NN')  # of which the confusions are shown


class Figures:
    """Draws what a transfer measured, into its folder.

    Args:
        out: Folder of the transfer.
        arms: Random weights, and those that are judged.
        data: By name of the task.
        scores: All scores.
        samples: What each tested image adds.
        fractions: Of the labels that were trained with, by the data and the task.
    """

    def __init__(
        self,
        out: Path,
        arms: tuple[str, str],
        data: Mapping[str, Labeled],
        scores: Sequence[Score],
        samples: Samples,
        fractions: Mapping[str, Mapping[str, float]],
    ) -> None:
        self._out, self._data, self._fractions = out, data, fractions
        self._scores, self._samples, self._arms = scores, samples, arms
        self._titles = dict(zip(arms, (SCRATCH, PRETRAINED), strict=True))

    def details(self) -> list[Details]:
        """Show classes and confusions of each task."""
        parts = []
        for task, data in self._data.items():
            classes = _classes(data)
            table = class_table(self._samples, task, self._arms, classes)
            if not table:
                continue
            table[0] = [self._in_words(text) for text in table[0]]
            figures = []
            for metric in (*_DETAILED, 'mIoU'):
                hits = self._of(task, metric, Classified | Confusions)
                file = self._file(task, f'confusions_{metric}')
                if hits and draw_confusions(hits, classes, file):
                    what = f'{task}: what was taken for what, '
                    what += (
                        'per cent of pixels.' if metric == 'mIoU' else f'by {metric}.'
                    )
                    figures.append((file, what))
                    break
            for metric in ('mask AP', 'box AP'):
                matches = self._of(task, metric, Matches)
                file = self._file(task, 'precision_recall')
                if matches and draw_precision_recall(matches, file):
                    what = f'{task}: precision over recall at an overlap of 0.5'
                    figures.append((file, f'{what}, {metric}, mean of the classes.'))
                    break
            parts.append(Details(task, table, figures))
        return parts

    def classified(self, names: Mapping[str, Sequence[str]]) -> list[tuple[Path, str]]:
        """Draw test photos with their class and what both networks say of them.

        Args:
            names: Files of the test images of class folders, by task.
        """
        figures = []
        for task, files in names.items():
            if any(key[1] == task for key in self._samples):
                figures += self._classified(task, _classes(self._data[task]), files)
        return figures

    def predictions(
        self, configs: Mapping[str, str], checkpoints: Mapping[str, Mapping[str, Path]]
    ) -> list[tuple[Path, str]]:
        """Draw the truth and what both networks predict, in the same test photos.

        Of EoMT also what the queries of the last network take and look at.

        Args:
            configs: Of what was trained, by task.
            checkpoints: By task and arm.
        """
        from ccmim.dense.predictions import draw_rows, tested_images
        from ccmim.dense.query_pictures import draw_queries

        figures = []
        for task, by_arm in checkpoints.items():
            files = {self._titles[arm]: file for arm, file in by_arm.items()}
            with no_messages():
                cfg = read_config(str(configs[task]))
                images = tested_images(cfg, _PHOTOS)
                rows = draw_rows(cfg, files, images, _TILE, get_device())
            for i, (name, row) in enumerate(zip(images, rows, strict=True)):
                file = self._file(task, f'found_{i}')
                _save(row, file)
                figures.append((file, f'{task}: {Path(name).name}'))
            if '.EoMT' in cfg.model.type:
                *_, (title, checkpoint) = files.items()
                file = self._file(task, 'queries')
                _save(draw_queries(cfg, checkpoint, images, get_device()), file)
                what = 'masks and attention of the surest queries'
                figures.append((file, f'{task}, {title}: {what}.'))
        return figures

    def curves(self) -> list[tuple[Path, str]]:
        """Draw the figures over the fraction of labels, where there are several."""
        scores = [s._replace(arm=self._titles[s.arm]) for s in self._scores]
        file = self._file('all', 'fractions')
        arms = list(self._titles.values())[::-1]
        if draw_fractions(scores, self._fractions, arms, file):
            return [(file, 'Per cent over the labels that were trained with.')]
        return []

    def _of(self, task: str, metric: str, kind: Any) -> dict[str, Any]:
        samples = {}
        for (arm, of, _, named), sample in self._samples.items():
            if (of, named) == (task, metric) and isinstance(sample, kind):
                samples.setdefault(self._titles[arm], sample)
        return samples

    def _classified(
        self, task: str, classes: Sequence[str], names: Sequence[str]
    ) -> list[tuple[Path, str]]:
        """Draw test photos with their class and what both networks say of it."""
        metric = next(m for m in _DETAILED if self._of(task, m, Classified))
        hits = self._of(task, metric, Classified)
        if any(len(sample) != len(names) for sample in hits.values()):
            return []
        wrong = sum((h.label != h.predicted).astype(int) for h in hits.values())
        # Those about which the two do not agree come first.
        order = np.argsort(-(wrong == 1).astype(int), kind='stable')[:_CLASSIFIED]
        tiles = []
        for i in order.tolist():
            try:
                photo = np.asarray(decode_image(read_file(names[i])))
            except (BadImageError, OSError):
                continue
            label = next(iter(hits.values())).label[i]
            captions = [f'truth: {classes[label]}']
            captions += [f'{t}: {classes[h.predicted[i]]}' for t, h in hits.items()]
            tile = resized(_square(photo), (_TILE, _TILE))
            for line in (Path(names[i]).name, *captions):
                tile = with_legend(tile, {}, line)
            tiles.append(tile)
        if not tiles:
            return []
        file = self._file(task, 'classified')
        width = min(3, len(tiles))  # of more the words are too small on a page
        lines = [sheet({'': tiles}, width)]
        _save(lines[0], file)
        return [
            (file, f'{task}: test photos, by {metric}; first where the two differ.')
        ]

    def _file(self, task: str, what: str) -> Path:
        return self._out / 'pictures' / f'{task}_{what}.png'.replace(' ', '_')

    def _in_words(self, text: str) -> str:
        for arm, title in self._titles.items():
            text = text.replace(f', {arm}', f', {title}')
        return text


def _classes(data: Labeled) -> Sequence[str]:
    if isinstance(data, Classes):
        return FolderLabels(str(data.train)).classes
    return data.classes


def _square(photo: np.ndarray) -> np.ndarray:
    side = min(photo.shape[:2])
    top, left = ((size - side) // 2 for size in photo.shape[:2])
    return photo[top : top + side, left : left + side]


def _save(picture: np.ndarray, file: Path) -> None:
    with replacing(file) as part:
        Image.fromarray(picture).save(part)
