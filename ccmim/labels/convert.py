"""Convert labels of YOLO, Pascal VOC, LabelMe and CVAT to COCO format."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ccmim.data.paths import is_image_name
from ccmim.labels.coco_file import CocoFile, read_coco
from ccmim.labels.collected import Collected
from ccmim.labels.cvat import read_cvat
from ccmim.labels.photos import images_below, upright_size
from ccmim.labels.read import LabelError, read_json, read_text, read_xml, read_yaml
from ccmim.labels.report import shown

# Beside a folder of XML files.
_VOC_IMAGES = ('JPEGImages', 'images', 'Images')


def read_objects(file: str | os.PathLike, with_labels: bool = True) -> CocoFile:
    """Read boxes and masks in any layout that is known.

    Args:
        file: An annotation file in COCO's format; a folder ``labels`` of YOLO beside
            its ``images``; a folder of Pascal VOC's XML files, or a list of them in
            ``ImageSets``; a folder of LabelMe's JSON files; an XML file of CVAT.
        with_labels: Whether there must be annotations, as in all but test sets.

    Returns:
        The content in COCO's format. Names of images begin at the folder that
        ``images_of`` gives.

    Raises:
        LabelError: A file is missing or damaged; the text names it.
    """
    path = Path(file)
    if path.is_file() and path.suffix == '.txt':
        return _read_voc(path.parents[2] / 'Annotations', _listed(path))
    if path.is_file() and path.suffix == '.xml':
        return read_cvat(path)
    if not path.is_dir():
        return read_coco(path, with_labels)
    files = [p for p in sorted(path.rglob('*')) if p.name[0] != '.']
    suffixes = {p.suffix for p in files}
    if '.xml' in suffixes:
        return _read_voc(path, None)
    if '.json' in suffixes:
        return _read_labelme([p for p in files if p.suffix == '.json'], path)
    if '.txt' in suffixes:
        return _read_yolo(path)
    raise LabelError(f'{path} holds no label files (json, xml or txt)')


def images_of(file: str | os.PathLike) -> Path:
    """Find the folder of the images of labels that are no COCO file.

    Args:
        file: What ``read_objects`` takes.

    Raises:
        LabelError: There is no such folder.
    """
    path = Path(file).absolute()
    if path.is_file() and path.suffix == '.txt':
        path = path.parents[2] / 'Annotations'
    if path.suffix == '.xml':
        folders = (path.parent / 'images', path.parents[1] / 'images' / path.stem)
        return next((p for p in folders if p.is_dir()), path.parent)
    if any(path.glob('*.json')):
        return path
    if any(path.glob('*.xml')):
        beside = [path.parent / name for name in _VOC_IMAGES]
        return next((p for p in beside if p.is_dir()), path)
    parts = list(path.parts)
    for i in reversed(range(len(parts))):
        if parts[i] == 'labels':
            images = Path(*parts[:i], 'images', *parts[i + 1 :])
            if images.is_dir():
                return images
    if any(is_image_name(p.name) for p in path.iterdir()):
        return path
    raise LabelError(f'{path}: the folder "images" that belongs to it is not there')


def _read_yolo(labels: Path) -> CocoFile:
    folder, names = images_of(labels), yolo_names(labels)
    collected = Collected(names)
    known = {name.rpartition('.')[0] for name in images_below(folder)}
    for file in sorted(labels.rglob('*.txt')):
        stem = str(file.relative_to(labels).with_suffix(''))
        if stem not in known and file.name not in ('classes.txt',):
            raise LabelError(
                f'{file} has no image of its name in {folder}: add it, or '
                'delete the file'
            )
    for name in images_below(folder):
        width, height = _size(folder / name)
        collected.image(name, (width, height))
        file = labels / f'{name.rpartition(".")[0]}.txt'
        for number, values in _yolo_lines(file):
            where = f'{file}, line {number}'
            category, values = values[0], values[1:]
            if not category.is_integer() or not 0 <= category < len(names):
                raise LabelError(
                    f'{where}: class {category:g}, and there are {len(names)} names: '
                    'add it to the yaml file'
                )
            if min(values) < 0 or max(values) > 1 + 1e-3:
                raise LabelError(
                    f'{where}: {max(values, key=abs):g} is no fraction of the image: '
                    'YOLO writes values from 0 to 1'
                )
            scaled = [v * (height if i % 2 else width) for i, v in enumerate(values)]
            if len(scaled) == 4:
                x, y, w, h = scaled
                collected.add(names[int(category)], [x - w / 2, y - h / 2, w, h])
            elif len(scaled) >= 6 and len(scaled) % 2 == 0:
                collected.add(names[int(category)], None, [scaled])
            else:
                raise LabelError(
                    f'{where} has {len(scaled) + 1} numbers, not 5 or a '
                    'class and three points or more'
                )
    return collected.file(labels)


def _yolo_lines(file: Path) -> Iterator[tuple[int, list[float]]]:
    if not file.is_file():
        return  # a photo without objects
    for number, line in enumerate(read_text(file).splitlines(), 1):
        try:
            values = [float(word) for word in line.split()]
            if values and not all(abs(value) < float('inf') for value in values):
                raise ValueError
        except ValueError:
            raise LabelError(
                f'{file}, line {number}: {line[:40]!r} are no numbers'
            ) from None
        if len(values) == 1:
            raise LabelError(f'{file}, line {number} has a class and no box')
        if values:
            yield number, values


def yolo_names(labels: Path) -> list[str]:
    """Read the names of classes from the yaml file, or ``classes.txt``, above labels.

    Raises:
        LabelError: There is none.
    """
    for folder in [labels, *labels.absolute().parents[:3]]:
        for file in sorted([*folder.glob('*.yaml'), *folder.glob('*.yml')]):
            content = read_yaml(file)
            names = content.get('names') if isinstance(content, dict) else None
            if isinstance(names, dict):
                names = [names[key] for key in sorted(names, key=_by_kind)]
            if isinstance(names, list):
                return [str(name) for name in names]
        if (listed := folder / 'classes.txt').is_file():
            lines = read_text(listed).splitlines()
            return [line.strip() for line in lines if line.strip()]
    raise LabelError(
        f'{labels} has no names of classes: put data.yaml with names, or classes.txt, '
        'above it'
    )


def _by_kind(key: Any) -> tuple[str, Any]:
    # YAML allows texts among the numbers, which have no order.
    return type(key).__name__, key


def _listed(file: Path) -> list[str]:
    return [line.split()[0] for line in read_text(file).splitlines() if line.strip()]


def _read_voc(folder: Path, stems: Sequence[str] | None) -> CocoFile:
    images, every = images_of(folder), sorted(folder.glob('*.xml'))
    every = [file for file in every if file.name[0] != '.']
    roots = {file.stem: read_xml(file) for file in every}
    names = {o.findtext('name') for r in roots.values() for o in r.iter('object')}
    collected = Collected(sorted(name for name in names if name))
    if missing := [stem for stem in stems or () if stem not in roots]:
        raise LabelError(
            f'{folder}/{missing[0]}.xml does not exist, and ImageSets lists it'
        )
    for stem in roots if stems is None else stems:
        root, file = roots[stem], folder / f'{stem}.xml'
        name = root.findtext('filename') or f'{stem}.jpg'
        if not (images / name).is_file():  # exports keep names of other computers
            near = [p.name for p in images.glob(f'{stem}.*') if is_image_name(p.name)]
            name = near[0] if near else name
        texts = [root.findtext(f'size/{key}') for key in ('width', 'height')]
        try:
            size = tuple(map(int, texts)) if all(texts) and texts != ['0', '0'] else ()
        except ValueError:
            raise LabelError(f'{file}: width and height are no numbers') from None
        collected.image(name, size or _size(images / name))
        for one in root.iter('object'):
            try:
                sides = [float(one.find('bndbox').findtext(k)) for k in _CORNERS]
                crowd = int(one.findtext('difficult') or 0)
            except (AttributeError, TypeError, ValueError):
                raise LabelError(
                    f'{file}: an object without numbers for its box'
                ) from None
            left, top, right, bottom = sides
            category = one.findtext('name')
            if not category:
                raise LabelError(f'{file}: an object without a name')
            # Counted from 1, the last pixel inside.
            box = [left - 1, top - 1, right - left + 1, bottom - top + 1]
            collected.add(category, box, crowd=crowd)
    return collected.file(folder)


_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def _read_labelme(files: Sequence[Path], folder: Path) -> CocoFile:
    collected = Collected()
    for file in files:
        content, _ = read_json(file)
        try:
            name = content['imagePath'].replace('\\', '/').rpartition('/')[2]
            name = str((file.parent / name).relative_to(folder))
            size = content.get('imageWidth'), content.get('imageHeight')
            collected.image(name, size if all(size) else _size(folder / name))
            for shape in content['shapes']:
                points = [float(value) for point in shape['points'] for value in point]
                if shape.get('shape_type') == 'rectangle':
                    (left, right), (top, bottom) = map(
                        sorted, (points[::2], points[1::2])
                    )
                    collected.add(
                        shape['label'], [left, top, right - left, bottom - top]
                    )
                elif shape.get('shape_type', 'polygon') == 'polygon':
                    collected.add(shape['label'], None, [points])
                else:
                    kind = shown(shape['shape_type'])
                    raise LabelError(
                        f'{file}: a {kind} is neither polygon nor box: delete it'
                    )
        except LabelError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = shown(repr(error))
            raise LabelError(f'{file} is no file of LabelMe: {why}') from None
    return collected.file(folder)


def _size(file: Path) -> tuple[int, int]:
    try:
        return upright_size(file)
    except (OSError, ValueError):
        raise LabelError(f'image {file} is missing or cannot be read') from None
