"""The leaves printed in docs/own_data.md run on data with other classes and sizes."""

import re

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from ccmim.engine.config import read_config
from ccmim.engine.settings import check_labels
from tests.labels.sets import Objects, photo

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')


@pytest.fixture
def leaf(request, tmp_path, monkeypatch):
    """Make a function that writes a leaf of the page, for data in ``tmp_path``."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    root = request.config.rootpath
    text = (root / 'docs/own_data.md').read_text(encoding='utf-8')

    def write(name):
        block = re.search(rf'```python\n(# {name}\n.*?)```', text, re.DOTALL)[1]
        block = block.replace("'mm_configs/", f"'{root}/mm_configs/")
        block = block.replace("'data/", f"'{tmp_path}/data/")
        (tmp_path / name).write_text(block)
        return tmp_path / name

    return write


def pets(tmp_path):
    (tmp_path / 'data').mkdir()
    made = Objects(tmp_path / 'data/pets')
    for content in (made.train, made.val):
        for category, name in zip(content['categories'], ('cat', 'dog'), strict=True):
            category['name'] = name
    made.train['images'][1].update(width=60, height=50)
    photo(made.root / 'train/b.jpg', 5, (60, 50))
    made.write()


def rooms(tmp_path):
    for split, names in (('training', 'abc'), ('validation', 'de')):
        for i, name in enumerate(names):
            size = (300 + 60 * i, 420 - 50 * i)
            photo(tmp_path / f'data/rooms/images/{split}/{name}.jpg', i, size)
            numbers = np.zeros(size[::-1], np.uint8)
            numbers[:100], numbers[100:200, :50] = 1, 2
            file = tmp_path / f'data/rooms/annotations/{split}/{name}.png'
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(numbers).save(file)


LEAVES = {'my_detector.py': (pets, 2), 'my_segmentor.py': (rooms, 3)}


@pytest.mark.parametrize('name', LEAVES)
def test_the_leaves_read_other_data_than_their_base(name, leaf, tmp_path):
    make, count = LEAVES[name]
    make(tmp_path)
    cfg = read_config(str(leaf(name)))
    check_labels(cfg, 'train', 'val', 'test')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        data = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(data.metainfo['palette']) == len(data.metainfo['classes']) == count
    if name == 'my_segmentor.py':
        assert max(max(sample['inputs'].shape) for sample in data) == 256
        steps = cfg.val_dataloader.dataset.pipeline
        steps = [step for step in steps if step.type != 'Resize']
        cfg.train_dataloader.dataset.pipeline = steps
        with pytest.raises(ValueError, match='photos of 3 sizes.*RandomCrop'):
            check_labels(cfg, 'train')


@pytest.mark.slow
@pytest.mark.parametrize('name', LEAVES)
def test_the_leaves_train_and_are_tested(name, leaf, tmp_path, run_tool):
    LEAVES[name][0](tmp_path)
    words = ['--work-dir', str(tmp_path / 'run'), '--cfg-options']
    words += ['train_cfg.max_iters=2', 'train_cfg.val_interval=2']
    words += ['default_hooks.visualization.draw=True']
    assert run_tool('train.py', leaf(name), *words)[0] == 0
    assert list((tmp_path / 'run').glob('iter_2.pth'))
