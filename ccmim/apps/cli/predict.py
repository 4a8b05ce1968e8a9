"""``ccmim predict``: what a trained detector or segmentor sees in photos."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.device import get_device
from PIL import Image
from tqdm import tqdm

from ccmim.apps.cli.mistakes import Mistake, how_to_install
from ccmim.apps.cli.quiet import no_messages
from ccmim.data.image import BadImageError, decode_image
from ccmim.data.sources import ImageSource, open_source
from ccmim.dense.predictions import Predictor, config_of, objects_of
from ccmim.engine.launch import read_config
from ccmim.files import write_file
from ccmim.labels.report import number_of

JSON, PICTURES, MAPS = 'predictions.json', 'pictures', 'maps'


def run(args: Namespace) -> int:
    """Look at the photos; 1 if some cannot be read."""
    if not 0 <= args.score <= 1:
        raise Mistake(f'--score {args.score} is no share', 'it lies between 0 and 1')
    source = open_source(args.photos)
    for name in (JSON, PICTURES, MAPS):
        if (args.out / name).exists():
            raise Mistake(
                f'{args.out / name} is there already', '--out DIR goes elsewhere'
            )
    predictor = _predictor(args)
    classes = predictor.meta['classes']
    names = _names(source)
    written = _Detections(classes, args.score)
    bad = []
    for i in tqdm(range(len(source)), 'Looking', unit=' photos', disable=None):
        try:
            photo = np.asarray(decode_image(source.read(i)))
        except (BadImageError, OSError) as error:
            bad.append(f'{source.name(i)}: {error}')
            continue
        with no_messages():
            sample = predictor(np.ascontiguousarray(photo[:, :, ::-1]))
        _save(predictor.draw(photo, sample), args.out / PICTURES / f'{names[i]}.png')
        if 'pred_sem_seg' in sample:
            numbers = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
            _save(numbers, args.out / MAPS / f'{names[i]}.png')
        else:
            written.add(Path(source.name(i)).name, photo, sample)
    for line in bad:
        print(f'left out: {line}')
    if written.images:
        file = args.out / JSON
        write_file(file, json.dumps(written.content()))
        found = number_of(len(written.objects), 'object', 'objects')
        print(f'{found} of {number_of(len(classes), "class", "classes")}: {file}')
    elif (args.out / MAPS).is_dir():
        write_file(args.out / MAPS / 'classes.txt', '\n'.join(classes) + '\n')
        print(
            f'maps of {number_of(len(classes), "class", "classes")}: {args.out / MAPS}'
        )
    print(f'pictures: {args.out / PICTURES}')
    return int(bool(bad))


def _predictor(args: Namespace) -> Predictor:
    with no_messages():
        cfg = config_of(args.checkpoint) if args.config is None else None
        cfg = cfg or read_config(str(args.config))
        try:
            return Predictor(
                cfg, args.checkpoint, args.device or get_device(), args.score
            )
        except ModuleNotFoundError as error:
            raise Mistake(
                f'{error.name} is not installed', how_to_install(str(error.name))
            ) from None


class _Detections:
    """A file in COCO's format that grows photo by photo."""

    def __init__(self, classes: list[str], least_score: float) -> None:
        self.images: list[dict[str, Any]] = []
        self.objects: list[dict[str, Any]] = []
        self._classes, self._least = classes, least_score

    def add(self, name: str, photo: np.ndarray, sample: Any) -> None:
        number, (height, width) = len(self.images) + 1, photo.shape[:2]
        self.images.append(dict(id=number, file_name=name, width=width, height=height))
        self.objects += objects_of(
            sample, number, self._least, start=len(self.objects) + 1
        )

    def content(self) -> dict[str, Any]:
        names = enumerate(self._classes, 1)
        return dict(
            images=self.images,
            annotations=self.objects,
            categories=[dict(id=number, name=name) for number, name in names],
        )


def _names(source: ImageSource) -> list[str]:
    """Name the pictures: as the photos, with a number where two have one name."""
    names = [Path(source.name(i)).stem for i in range(len(source))]
    if len(set(names)) < len(names):
        names = [f'{i}_{name}' for i, name in enumerate(names)]
    return names


def _save(pixels: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
