"""Objects of other label formats, collected into COCO format."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ccmim.labels.coco_file import CocoFile, complete
from ccmim.labels.coco_schema import OBJECTS, validated
from ccmim.labels.mask_geometry import bounds_of
from ccmim.labels.read import LabelError


class Collected:
    """Images, objects and categories, numbered as they come.

    Args:
        names: Of the categories, as far as they are known from the start.

    Attributes:
        notes: What is worth knowing, one line each.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.images: list[dict[str, Any]] = []
        self.objects: list[dict[str, Any]] = []
        self.names = {name: i for i, name in enumerate(names)}
        self.notes: list[str] = []

    def image(self, name: str, size: tuple[int, int]) -> None:
        """Begin an image of a size (width, height)."""
        number = len(self.images) + 1
        self.images.append(
            dict(id=number, file_name=name, width=size[0], height=size[1])
        )

    def add(self, category: str, box: Any, mask: Any = None, crowd: int = 0) -> None:
        """Add an object to the image; without a box it gets that of its mask."""
        one = dict(image_id=len(self.images), iscrowd=crowd)
        one['category_id'] = self.names.setdefault(category, len(self.names))
        if mask:
            one['segmentation'] = mask
        self.objects.append({**one, 'bbox': box or bounds_of(mask)})

    def file(self, source: Path) -> CocoFile:
        """Return everything in COCO format.

        Raises:
            LabelError: There are no images, or no objects.
        """
        categories = [dict(id=i, name=name) for name, i in self.names.items()]
        for part, what in ((self.images, 'images'), (self.objects, 'annotations')):
            if not part:
                raise LabelError(f'the split is empty: {source} holds no {what}')
        content = dict(
            images=self.images, annotations=self.objects, categories=categories
        )
        content = validated(content, OBJECTS, source)
        complete(content['annotations'])
        return CocoFile(content, self.notes)
