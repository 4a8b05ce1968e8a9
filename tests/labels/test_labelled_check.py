"""Labeled images: classes without images, files that are none, splits that differ."""

import pytest
from mmengine.config import Config
from PIL import Image

import ccmim.classification  # noqa: F401  # registers the data set
from ccmim.engine.settings import check_config


@pytest.fixture
def folders(tmp_path):
    """Three pictures of each of two classes, to train and to validate."""
    for split in ('train', 'val'):
        for name, color in (('cat', 'red'), ('dog', 'blue')):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(3):
                Image.new('RGB', (20, 10), color).save(
                    tmp_path / split / name / f'{i}.png'
                )
    return tmp_path


def check(root, num_classes=2, **options):
    """Reports of the training and the validation set."""
    cfg = dict(default_scope='ccmim', model=dict(head=dict(num_classes=num_classes)))
    for split in ('train', 'val'):
        dataset = dict(type='LabeledImages', data=str(root / split), transform=[])
        dataset.update(options if split == 'train' else {})
        cfg[f'{split}_dataloader'] = dict(dataset=dataset)
    return check_config(Config(cfg), num_pictures=2)


def test_good_sets_are_counted_and_drawn(folders):
    train, val = check(folders)
    assert train.problems == val.problems == []
    assert train.counts == val.counts == dict(cat=3, dog=3)
    assert train.text().splitlines()[0] == (
        'train (LabeledImages): 6 images of 2 classes'
    )
    assert [picture.title for picture in train.pictures] == ['cat: 0.png', 'dog: 0.png']
    assert train.pictures[1].draw().getpixel((5, 5)) == (0, 0, 255)


def test_what_is_wrong_is_named(folders):
    (folders / 'train' / 'bird').mkdir()
    (folders / 'train' / 'dog' / '9.png').write_bytes(b'none')
    (folders / 'train' / 'stray.png').write_bytes(b'none')
    train, val = check(folders)
    problems = '\n'.join(train.problems)
    assert 'classes without images: 1 (bird)' in problems
    damaged = f'{folders}/train/dog/9.png: cannot be read'
    assert f'training shows others: 1 ({damaged})' in train.notes[0]
    assert f'not in classes: 1 ({folders}/train/stray.png)' in problems
    assert '3 classes, and the head tells 2 apart' in problems
    assert train.images == 7
    (problem,) = val.problems
    assert problem.startswith('its classes are not those of train (LabeledImages); ')
    assert 'missing: bird: name the folders alike, or set' in problem


def test_another_order_of_the_classes_is_a_problem(folders):
    _, val = check(folders, classes=['dog', 'cat'])
    assert 'but in another order' in val.problems[0]


def test_lists_and_shares_are_checked_as_they_are_read(folders):
    train, _ = check(folders, label_ratio=0.34)
    assert train.counts == dict(cat=1, dog=1)
    (folders / 'names.txt').write_text('cat/0.png\ndog/2.png\ndog/7.png\n')
    train, _ = check(folders, names=str(folders / 'names.txt'))
    assert 'such as dog/7.png' in train.problems[0]
    listed = folders / 'list.txt'
    listed.write_text('train/cat/0.png cat\ntrain/dog/8.png dog\n')
    train, _ = check(folders, data=str(listed))
    assert train.problems == []
    assert f'{folders}/train/dog/8.png: missing' in train.notes[0]
    train, _ = check(folders, data=str(folders / 'none'))
    assert 'No such folder or list' in train.problems[0]


def test_of_many_classes_the_rarest_are_listed(tmp_path):
    (tmp_path / 'a.png').touch()
    lines = [f'a.png {i}' for i in range(120)]
    (tmp_path / 'list.txt').write_text('\n'.join([*lines, 'a.png 130']))
    cfg = dict(type='LabeledImages', data=str(tmp_path / 'list.txt'), transform=[])
    loader = dict(dataset=cfg)
    (report,) = check_config(
        Config(dict(default_scope='ccmim', train_dataloader=loader))
    )
    text = report.text()
    assert '1 image of 131 classes' in text
    assert 'the 5 rarest:' in text
    assert 'listed more than once (list each once): 1' in text
