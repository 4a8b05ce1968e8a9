"""Each fault of a set of class maps is named, and a good set is passed."""

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

pytest.importorskip('mmseg')
pytestmark = pytest.mark.downstream

SIZE = (24, 16)  # width, height
PALETTE = [(255, 0, 0), (0, 0, 255)]


def save_map(file, numbers):
    Image.fromarray(np.asarray(numbers, dtype=np.uint8)).save(file)


def halves(left=0, right=1):
    numbers = np.full(SIZE[::-1], left)
    numbers[:, 16:] = right
    return numbers


@pytest.fixture
def root(tmp_path):
    """Two images, one in a sub-folder, of two classes."""
    for name in ('a', 'town/b'):
        for kind in ('images', 'maps'):
            (tmp_path / kind / 'town').mkdir(parents=True, exist_ok=True)
        Image.new('RGB', SIZE, 'green').save(tmp_path / f'images/{name}.jpg')
        save_map(tmp_path / f'maps/{name}.png', halves())
    return tmp_path


@pytest.fixture
def check(root):
    from ccmim.engine.settings import check_config

    def run(**changes):
        dataset = dict(
            type='BaseSegDataset',
            data_root=str(root),
            data_prefix=dict(img_path='images', seg_map_path='maps'),
            metainfo=dict(classes=('soil', 'sky'), palette=PALETTE),
        )
        dataset.update(changes)
        cfg = Config(
            dict(default_scope='mmseg', train_dataloader=dict(dataset=dataset))
        )
        (report,) = check_config(cfg, ['train'])
        return report

    return run


def test_a_good_set_has_no_problems_and_its_pixels_are_counted(check):
    report = check()
    assert report.problems == report.notes == []
    assert report.images == 2
    assert report.counts == dict(soil=2 * 16 * 16, sky=2 * 8 * 16)
    assert report.legend == dict(soil=PALETTE[0], sky=PALETTE[1])


def test_pictures_show_the_classes_and_leave_ignored_pixels(check, root):
    numbers = halves()
    numbers[:8] = 255
    save_map(root / 'maps/a.png', numbers)
    drawn = check().pictures[0].draw()
    assert drawn.getpixel((2, 12))[0] > 140
    assert drawn.getpixel((20, 12))[2] > 140
    assert drawn.getpixel((2, 2))[0] < 10


def test_numbers_that_are_no_class_are_named(check, root):
    """Other faults of maps are asked of all commands by test_odd_sets.py."""
    save_map(root / 'maps/a.png', np.tile([0, 2, 9, 1], (16, 6)))
    (problem,) = check().problems
    assert problem.endswith(
        'that are no class (0 to 1; 255: ignored): add classes, or map them by '
        'LoadAnnotations(values=...): 1 (a: 2, 9)'
    )


def test_with_a_reduced_zero_label_classes_begin_at_one(check, root):
    for name in ('a', 'town/b'):
        save_map(root / f'maps/{name}.png', halves(0, 2))
    report = check(reduce_zero_label=True)
    assert report.problems == []
    assert report.counts == dict(soil=0, sky=2 * 8 * 16)
    assert report.notes == ['classes without pixels: 1 (soil)']
    save_map(root / 'maps/a.png', halves(1, 3))
    (problem,) = check(reduce_zero_label=True).problems
    assert problem.endswith('(values=...): 1 (a: 3)')


def test_missing_folders_and_empty_splits_are_named(check, root):
    prefix = dict(img_path='images', seg_map_path='none')
    (problem,) = check(data_prefix=prefix).problems
    assert problem == f'map folder {root}/none does not exist'
    (problem,) = check(img_suffix='.tif').problems
    where = f'{root}/images (*.tif); there are .jpg: set img_suffix'
    assert problem == f'the split is empty: no images in {where}'


def test_images_may_be_named_by_a_list(check, root):
    (root / 'list.txt').write_text('a\ntown/b\nc\na\n')
    problems = check(ann_file='list.txt').problems
    assert (
        problems[0] == 'images that are listed more than once (list each once): 1 (a)'
    )
    assert problems[1].startswith('images that do not exist')
    assert problems[1].endswith(': 1 (c)')
    (problem,) = check(ann_file='none.txt').problems
    assert problem == f'list of images {root}/none.txt does not exist'


def test_a_palette_of_another_length_is_filled(check):
    report = check(metainfo=dict(classes=('soil', 'sky'), palette=PALETTE[:1]))
    assert report.problems == []
    assert len(set(report.legend.values())) == 2


def test_maps_without_an_image_are_a_note(check, root):
    save_map(root / 'maps/z.png', halves())
    report = check()
    assert report.problems == []
    assert report.notes == ['maps without an image: 1 (z)']
