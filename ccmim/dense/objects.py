"""mmdet's COCO dataset and metric, with this library's reader of annotations.

Imports mmdet, so the package does not import it.
"""

import os
from collections.abc import Sequence
from typing import Any

from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric as MMDetCocoMetric

from ccmim.labels.convert import read_objects
from ccmim.labels.photos import find_photo
from ccmim.registry import DATASETS, METRICS


class ReadObjects(COCO):
    """Annotations in any layout that ``read_objects`` knows.

    Args:
        annotation_file: What it takes.
    """

    def __init__(self, annotation_file: str | os.PathLike | None = None) -> None:
        super().__init__()
        if annotation_file is not None:
            self.dataset = read_objects(annotation_file, with_labels=False).content
            self.createIndex()
            self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    def get_cat_ids(
        self,
        cat_names: Sequence[str] = (),
        sup_names: Sequence[str] = (),
        cat_ids: Sequence[int] = (),
    ) -> list[int]:
        """Give the ids of categories, in the order of the names that are asked for.

        pycocotools gives them in the order of the file, so that files of two orders
        would have other numbers for the same class. A name without objects, which only
        converted labels may leave out, gets an id of its own.
        """
        if not cat_names or sup_names or cat_ids:
            return super().get_cat_ids(cat_names, sup_names, cat_ids)
        ids = {category['name']: number for number, category in self.cats.items()}
        for name in cat_names:
            if name not in ids:
                ids[name] = max(self.cats, default=0) + 1
                self.cats[ids[name]] = dict(id=ids[name], name=name)
        return [ids[name] for name in cat_names]


@DATASETS.register_module()
class CocoDataset(MMDetCocoDataset):
    """mmdet's data set, with classes by name and photos by any form of their name.

    Args:
        args: As of mmdet's ``CocoDataset``; ``ann_file`` may also be a folder of YOLO,
            Pascal VOC or LabelMe.
        kwargs: Likewise.
    """

    COCOAPI = ReadObjects

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Parse the annotations of a photo, and find it on the disk.

        The checks let one faulty entry in a thousand pass, as COCO itself has some: an
        object without a box is left out, one without a mask is ignored in training.
        """
        raw_data_info['raw_ann_info'] = [
            one
            for one in raw_data_info['raw_ann_info']
            if len(one.get('bbox') or ()) == 4
        ]
        info = super().parse_data_info(raw_data_info)
        for instance in info['instances']:
            instance.setdefault('mask', [])
        name = raw_data_info['raw_img_info']['file_name']
        info['img_path'] = find_photo(self.data_prefix['img'], name)
        return info


@METRICS.register_module()
class CocoMetric(MMDetCocoMetric):
    """mmdet's metric, with annotations read as those of training.

    Args:
        ann_file: What ``read_objects`` takes; from the data set when None.
        kwargs: As of mmdet's ``CocoMetric``.
    """

    def __init__(self, ann_file: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if ann_file is not None:
            self._coco_api = ReadObjects(ann_file)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Compute as mmdet does, of the tested images alone.

        By mmdet the objects of those that ``indices`` leave out are missed.
        """
        self.img_ids = [truth['img_id'] for truth, _ in results]
        return super().compute_metrics(results)
