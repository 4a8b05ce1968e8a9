"""``ccmim predict``: predictions of a trained network on photos."""

import csv
import io
import json
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.device import get_device
from PIL import Image

from ccmim.apps.cli.mistakes import Mistake, how_to_install
from ccmim.apps.cli.quiet import no_messages
from ccmim.classification.predictor import ClassPredictor
from ccmim.data.image import BadImageError, decode_image
from ccmim.data.sources import ImageSource, open_source
from ccmim.dense.coco_objects import objects_of
from ccmim.dense.predictor import Predictor, config_of
from ccmim.engine.config import read_config
from ccmim.files import replacing, say, write_file
from ccmim.labels.report import number_of
from ccmim.pictures.overlay import with_legend
from ccmim.progress import progress

JSON, TABLE = 'predictions.json', 'predictions.csv'
PICTURES, MAPS = 'pictures', 'maps'
_SHOWN = 5  # classes below a photo


def run(args: Namespace) -> int:
    """Look at the photos; 1 if some cannot be read."""
    if not 0 <= args.score <= 1:
        raise Mistake(f'--score {args.score} is out of range', 'give 0 to 1')
    source = open_source(args.photos)
    for name in (JSON, TABLE, PICTURES, MAPS):
        if (args.out / name).exists():
            raise Mistake(
                f'{args.out / name} is there already', '--out DIR goes elsewhere'
            )
    predictor = _predictor(args)
    look = _look_at_classes if isinstance(predictor, ClassPredictor) else _look_at_all
    if bad := look(predictor, source, args):
        say(*(f'left out: {line}' for line in bad))
    say(f'pictures: {args.out / PICTURES}')
    return int(bool(bad))


def _photos(
    source: ImageSource, bad: list[str]
) -> Iterator[tuple[str, str, Image.Image]]:
    """Yield the name of each photo, that of its picture, and the photo."""
    names = _names(source)
    for i in progress(range(len(source)), 'Looking', len(source), 'photos'):
        try:
            yield source.name(i), names[i], decode_image(source.read(i))
        except (BadImageError, OSError) as error:
            bad.append(f'{source.name(i)}: {error}')


def _look_at_classes(
    predictor: ClassPredictor, source: ImageSource, args: Namespace
) -> list[str]:
    """Write a table of probabilities, and photos with the likeliest classes."""
    bad: list[str] = []
    text = io.StringIO()
    table = csv.writer(text, lineterminator='\n')
    table.writerow(['name', 'class', 'probability', *predictor.classes])
    counts: Counter[str] = Counter()
    for full, name, photo in _photos(source, bad):
        scores = predictor(photo)
        best = predictor.classes[int(scores.argmax())]
        counts[best] += 1
        values = [f'{value:.4g}' for value in scores.tolist()]
        table.writerow([full, best, f'{scores.max():.4g}', *values])
        top = scores.topk(min(_SHOWN, len(scores)))
        pairs = zip(top.values.tolist(), top.indices.tolist(), strict=True)
        caption = '   '.join(
            f'{predictor.classes[i]} {100 * p:.0f} %' for p, i in pairs
        )
        shown = with_legend(np.asarray(photo), {}, Path(full).name)
        _save(with_legend(shown, {}, caption), args.out / PICTURES / f'{name}.png')
    write_file(args.out / TABLE, text.getvalue())
    counted = ', '.join(f'{n:,} {kind}' for kind, n in counts.most_common(_SHOWN))
    say(
        f'{number_of(counts.total(), "photo", "photos")}: {counted}: {args.out / TABLE}'
    )
    return bad


def _look_at_all(
    predictor: Predictor, source: ImageSource, args: Namespace
) -> list[str]:
    """Write objects in COCO's format, or maps of classes; and pictures."""
    bad: list[str] = []
    classes = predictor.classes
    written = _Detections(classes, args.score)
    for full, name, picture in _photos(source, bad):
        photo = np.asarray(picture)
        with no_messages():
            sample = predictor(np.ascontiguousarray(photo[:, :, ::-1]))
        drawn = with_legend(
            predictor.draw(photo, sample), predictor.legend(sample), Path(full).name
        )
        _save(drawn, args.out / PICTURES / f'{name}.png')
        if 'pred_sem_seg' in sample:
            numbers = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
            _save(numbers, args.out / MAPS / f'{name}.png')
        else:
            written.add(Path(full).name, photo, sample)
    kinds = number_of(len(classes), 'class', 'classes')
    if written.images:
        file = args.out / JSON
        write_file(file, json.dumps(written.content()))
        objects = number_of(len(written.objects), 'object', 'objects')
        say(f'{objects} of {kinds}: {file}')
    elif (args.out / MAPS).is_dir():
        write_file(args.out / MAPS / 'classes.txt', '\n'.join(classes) + '\n')
        say(f'maps of {kinds}: {args.out / MAPS}')
    return bad


def _predictor(args: Namespace) -> Predictor | ClassPredictor:
    with no_messages():
        cfg = config_of(args.checkpoint) if args.config is None else None
        cfg = cfg or read_config(str(args.config))
        device = args.device or get_device()
        if str(cfg.get('model', {}).get('type')).endswith('Classifier'):
            return ClassPredictor(cfg, args.checkpoint, device)
        try:
            return Predictor(cfg, args.checkpoint, device, args.score)
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
    with replacing(file) as part:
        Image.fromarray(pixels).save(part)
