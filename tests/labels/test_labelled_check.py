"""Labeled images: classes without images, files that are none, splits that differ."""

import pytest
from mmengine.config import Config
from PIL import Image

import ccmim.classification  # noqa: F401  # registers the data set
from ccmim.engine.settings import check_config
from tests.labels.sets import Folders


@pytest.fixture
def folders(tmp_path):
    """Three photos of each of two classes to train, two to validate."""
    return Folders(tmp_path)


def check(made, **options):
    """Reports of the training and the validation set."""
    cfg = Config(made.config())
    cfg.train_dataloader.dataset.update(options)
    return check_config(cfg, num_pictures=2)


def test_good_sets_are_counted_and_drawn(folders):
    train, val = check(folders)
    assert train.problems == val.problems == []
    assert train.counts == dict(tortoise=3, zebra=3)
    assert val.counts == dict(tortoise=2, zebra=2)
    first = train.text().splitlines()[0]
    assert first == 'train (LabeledImages): 6 images of 2 classes'
    titles = [picture.title for picture in train.pictures]
    assert titles == ['tortoise: 0.jpg', 'zebra: 0.jpg']
    with Image.open(folders.root / 'train/zebra/0.jpg') as photo:
        assert train.pictures[1].draw().tobytes() == photo.tobytes()


def test_what_is_wrong_is_named(folders):
    root = folders.root / 'train'
    (root / 'bird').mkdir()
    (root / 'zebra' / '9.png').write_bytes(b'none')
    (root / 'stray.png').write_bytes(b'none')
    train, val = check(folders)
    problems = '\n'.join(train.problems)
    assert 'classes without images: 1 (bird)' in problems
    damaged = f'{root}/zebra/9.png: cannot be read'
    assert f'training shows others: 1 ({damaged})' in train.notes[0]
    assert f'not in classes: 1 ({root}/stray.png)' in problems
    assert '3 classes, and the head tells 2 apart' in problems
    assert train.images == 7
    (problem,) = val.problems
    assert problem.startswith('its classes are not those of train (LabeledImages); ')
    assert 'missing: bird: name the folders alike, or set' in problem


def test_another_order_of_the_classes_is_a_problem(folders):
    _, val = check(folders, classes=['zebra', 'tortoise'])
    assert 'but in another order' in val.problems[0]


def test_lists_and_shares_are_checked_as_they_are_read(folders):
    root = folders.root
    train, _ = check(folders, label_ratio=0.34)
    assert train.counts == dict(tortoise=1, zebra=1)
    names, listed = root / 'names.txt', root / 'list.txt'
    names.write_text('zebra/0.jpg\ntortoise/2.jpg\nzebra/7.jpg\n')
    train, _ = check(folders, names=str(names))
    assert 'such as zebra/7.jpg' in train.problems[0]
    listed.write_text('train/zebra/0.jpg zebra\ntrain/tortoise/8.jpg tortoise\n')
    train, _ = check(folders, data=str(listed))
    assert train.problems == []
    assert f'{root}/train/tortoise/8.jpg: missing' in train.notes[0]
    train, _ = check(folders, data=str(root / 'none'))
    assert 'No such folder or list' in train.problems[0]


def test_of_many_classes_the_rarest_are_listed(tmp_path):
    (tmp_path / 'a.png').touch()
    lines = [f'a.png {i}' for i in range(120)]
    (tmp_path / 'list.txt').write_text('\n'.join([*lines, 'a.png 130']))
    cfg = dict(type='LabeledImages', data=str(tmp_path / 'list.txt'), transform=[])
    cfg = dict(default_scope='ccmim', train_dataloader=dict(dataset=cfg))
    (report,) = check_config(Config(cfg))
    text = report.text()
    assert '1 image of 131 classes' in text
    assert 'the 5 rarest:' in text
    assert 'listed more than once (list each once): 1' in text
