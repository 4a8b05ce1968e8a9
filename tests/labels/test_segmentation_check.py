"""Each fault of a set of class maps is named, and a good set is passed."""

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from ccmim.engine.settings import check_config
from tests.labels.sets import HEIGHT, WIDTH, Maps

pytest.importorskip('mmseg')

PALETTE = [(255, 0, 0), (0, 0, 255)]
SOIL, SKY = 30 * HEIGHT, (WIDTH - 30) * HEIGHT  # pixels of a map


@pytest.fixture
def made(tmp_path):
    """Two photos, one in a sub-folder, with maps of two classes."""
    made = Maps(tmp_path)
    for file in [*tmp_path.glob('*/train/b.*')]:
        (file.parent / 'town').mkdir()
        file.rename(file.parent / 'town' / file.name)
    return made


@pytest.fixture
def check(made):
    def run(**changes):
        classes = dict(metainfo=dict(classes=('soil', 'sky'), palette=PALETTE))
        dataset = made.dataset() | dict(data_root=str(made.root)) | classes | changes
        cfg = dict(default_scope='mmseg', train_dataloader=dict(dataset=dataset))
        (report,) = check_config(Config(cfg), ['train'])
        return report

    return run
    return run


def test_a_good_set_has_no_problems_and_its_pixels_are_counted(check):
    report = check()
    assert report.problems == report.notes == []
    assert report.images == 2
    assert report.counts == dict(soil=2 * SOIL, sky=2 * SKY)
    assert report.legend == dict(soil=PALETTE[0], sky=PALETTE[1])


def test_pictures_show_the_classes_and_leave_ignored_pixels(check, made):
    numbers = made.halves()
    numbers[:8] = 255
    made.save(numbers)
    Image.new('RGB', (WIDTH, HEIGHT), 'green').save(made.root / 'images/train/a.jpg')
    drawn = check().pictures[0].draw()
    assert drawn.getpixel((2, 12))[0] > 140
    assert drawn.getpixel((36, 12))[2] > 140
    assert drawn.getpixel((2, 2))[0] < 10


def test_numbers_that_are_no_class_are_named(check, made):
    """Other faults of maps are asked of all commands by test_odd_sets.py."""
    made.save(np.tile([0, 2, 9, 1], (HEIGHT, WIDTH // 4)).astype(np.uint8))
    (problem,) = check().problems
    assert problem.endswith(
        'that are no class (0 to 1; 255: ignored): add classes, or map them by '
        'LoadAnnotations(values=...): 1 (a: 2, 9)'
    )


def test_with_a_reduced_zero_label_classes_begin_at_one(check, made):
    for name in ('a', 'town/b'):
        made.save(made.halves(0, 2), name)
    report = check(reduce_zero_label=True)
    assert report.problems == []
    assert report.counts == dict(soil=0, sky=2 * SKY)
    assert report.notes == ['classes without pixels: 1 (soil)']
    made.save(made.halves(1, 3))
    (problem,) = check(reduce_zero_label=True).problems
    assert problem.endswith('(values=...): 1 (a: 3)')


def test_missing_folders_and_empty_splits_are_named(check, made):
    prefix = dict(img_path='images/train', seg_map_path='none')
    (problem,) = check(data_prefix=prefix).problems
    assert problem == f'map folder {made.root}/none does not exist'
    (problem,) = check(img_suffix='.tif').problems
    where = f'{made.root}/images/train (*.tif); there are .jpg: set img_suffix'
    assert problem == f'the split is empty: no images in {where}'


def test_images_may_be_named_by_a_list(check, made):
    (made.root / 'list.txt').write_text('a\ntown/b\nc\na\n')
    twice, missing = check(ann_file='list.txt').problems
    assert twice == 'images that are listed more than once (list each once): 1 (a)'
    assert missing.startswith('images that do not exist')
    assert missing.endswith(': 1 (c)')
    (problem,) = check(ann_file='none.txt').problems
    assert problem == f'list of images {made.root}/none.txt does not exist'


def test_a_palette_of_another_length_is_filled(check):
    report = check(metainfo=dict(classes=('soil', 'sky'), palette=PALETTE[:1]))
    assert report.problems == []
    assert len(set(report.legend.values())) == 2


def test_maps_without_an_image_are_a_note(check, made):
    made.save(made.halves(), 'z')
    report = check()
    assert report.problems == []
    assert report.notes == ['maps without an image: 1 (z)']
