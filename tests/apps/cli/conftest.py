"""Labeled data in the layouts that the command knows, and the command itself."""

import json

import numpy as np
import pytest
from PIL import Image

from ccmim.apps.cli import main


@pytest.fixture
def ccmim(capsys, monkeypatch):
    """Make a function that runs the command: exit code, stdout, stderr."""
    monkeypatch.delenv('CCMIM_DEBUG', raising=False)

    def run(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:  # of --help and --version
            code = end.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def photo(path, seed, side=48):
    """Write smooth noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(coarse).resize((side, side), Image.BICUBIC).save(path)


@pytest.fixture
def class_folders(tmp_path):
    """Ten photos of each of two classes, without a split; one name has a blank."""
    root = tmp_path / 'my classes'
    for first, name in ((0, 'big cat'), (10, 'dog')):
        for i in range(10):
            photo(root / name / f'{i}.jpg', first + i)
    return root


@pytest.fixture
def coco_folder(tmp_path):
    """Ten photos with one square each, in one file without a split."""
    root = tmp_path / 'coco'
    images, objects = [], []
    box = dict(bbox=[8, 8, 32, 32], segmentation=[[8, 8, 40, 8, 40, 40, 8, 40]])
    box.update(category_id=1, area=1024, iscrowd=0)
    for i in range(10):
        photo(root / 'images' / f'{i}.jpg', i)
        images.append(dict(id=i, file_name=f'{i}.jpg', width=48, height=48))
        objects.append(dict(box, id=i + 1, image_id=i))
    content = dict(images=images, annotations=objects)
    content.update(categories=[dict(id=1, name='square')])
    (root / 'annotations.json').write_text(json.dumps(content))
    return root


@pytest.fixture
def map_folder(tmp_path):
    """Photos with maps of three classes, split as ADE20K is."""
    root = tmp_path / 'ade'
    for split, count in (('training', 6), ('validation', 3)):
        for i in range(count):
            photo(root / 'images' / split / f'{i}.jpg', i)
            classes = np.full((48, 48), 255, np.uint8)
            classes[:, :16], classes[:, 16:32] = 0, 2
            folder = root / 'annotations' / split
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(classes).save(folder / f'{i}.png')
    return root
