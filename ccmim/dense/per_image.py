"""Per-image contributions to evaluation metrics."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from ccmim.evaluation.resampling import MOST_CONFUSED
from ccmim.evaluation.samples import (
    Classified,
    Confusions,
    Matches,
    Overlaps,
    Sample,
    Segments,
)


def keep_samples(metric: BaseMetric, samples: dict[str, Sample]) -> None:
    """Let a metric leave what each image adds to its figures.

    Args:
        metric: mmdet's CocoMetric or CocoPanopticMetric, mmseg's IoUMetric or our
            TopAccuracy, before the test; others leave nothing.
        samples: Filled when the metric is computed: by the metric's key.
    """
    compute = metric.compute_metrics
    if type(metric).__name__ == 'IoUMetric':
        _count_pairs(metric)

    def compute_and_keep(results: Sequence[Any]) -> dict[str, float]:
        if type(metric).__name__ == 'IoUMetric':
            samples['mIoU'] = _overlaps(results)
            results = [result[:4] for result in results]
        metrics = compute(results)
        if type(metric).__name__ == 'TopAccuracy':
            _, label, predicted = np.array(results, int).reshape(-1, 3).T
            samples['accuracy/top1'] = Classified(label, predicted)
        elif type(metric).__name__ == 'CocoMetric':
            samples.update(_matches(metric, [pred for _, pred in results]))
        elif type(metric).__name__ == 'CocoPanopticMetric' and metric.tmp_dir:
            samples['coco_panoptic/PQ'] = _segments(results, metric.categories)
        return metrics

    metric.compute_metrics = compute_and_keep


def _count_pairs(metric: Any) -> None:
    """Let mmseg's metric note which class each pixel was taken for, behind its own."""
    own = metric.intersect_and_union

    def count(
        predicted: Tensor, label: Tensor, classes: int, ignored: int
    ) -> tuple[Tensor, ...]:
        areas = own(predicted, label, classes, ignored)
        if classes > MOST_CONFUSED:
            return areas
        known = (label != ignored) & (label < classes)
        pairs = classes * label[known].long() + predicted[known].long()
        pairs = torch.bincount(pairs, minlength=classes**2).cpu()
        return *areas, pairs.unflatten(0, (classes, classes))

    metric.intersect_and_union = count


def _overlaps(results: Sequence[Any]) -> Overlaps | Confusions:
    if len(results[0]) > 4:
        return Confusions(np.stack([result[4].numpy() for result in results]))
    shared, united = (np.stack([r[i].numpy() for r in results]) for i in (0, 1))
    return Overlaps(shared, united)


def _segments(images: Sequence[Any], categories: Iterable[int]) -> Segments:
    """Read what mmdet has counted in each image, in its order of the categories."""
    parts = ('iou', 'tp', 'fp', 'fn')
    counted = [[[getattr(i[c], k) for c in categories] for i in images] for k in parts]
    return Segments(*map(np.array, counted))


def _matches(metric: Any, predictions: Sequence[dict[str, Any]]) -> dict[str, Matches]:
    """Match detections and objects once more: mmdet discards its matches."""
    from mmdet.datasets.api_wrappers import COCOeval
    from mmengine import load

    matches = {}
    with tempfile.TemporaryDirectory() as folder:
        files = metric.results2json(predictions, str(Path(folder, 'results')))
        for kind in metric.metrics:
            detections = load(files[kind]) if kind in ('bbox', 'segm') else []
            if not detections:
                continue
            if kind == 'segm':  # else the areas would be those of the boxes
                for detection in detections:
                    detection.pop('bbox')
            judge = COCOeval(
                metric._coco_api, metric._coco_api.loadRes(detections), kind
            )
            judge.params.catIds, judge.params.imgIds = metric.cat_ids, metric.img_ids
            judge.params.iouThrs = metric.iou_thrs
            judge.params.maxDets = [100]
            judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ['all']
            judge.evaluate()
            matches[f'coco/{kind}_mAP'] = matches_of(judge)
    return matches


def matches_of(judge: Any) -> Matches:
    """Read the matches of a COCOeval that was evaluated over all sizes."""
    images, categories, thresholds = (
        len(x) for x in (judge.params.imgIds, judge.params.catIds, judge.params.iouThrs)
    )
    objects = np.zeros((images, categories), int)
    columns = []
    for number, entry in enumerate(judge.evalImgs):  # category by category
        if entry is None:
            continue
        category, image = divmod(number, images)
        objects[image, category] = (np.asarray(entry['gtIgnore']) == 0).sum()
        columns += [
            (score, image, category, right, ignored)
            for score, right, ignored in zip(
                entry['dtScores'],
                (entry['dtMatches'] != 0).T,
                (entry['dtIgnore'] != 0).T,
                strict=True,
            )
        ]
    columns.sort(key=lambda column: -column[0])
    marks = [
        np.array([c[i] for c in columns], bool).reshape(-1, thresholds).T
        for i in (3, 4)
    ]
    image, category = (np.array([c[i] for c in columns], int) for i in (1, 2))
    score = np.array([c[0] for c in columns], float)
    return Matches(image, category, *marks, objects, score)
