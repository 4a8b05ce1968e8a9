"""Classes of a config, of annotations and of heads are the same."""

import json

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from ccmim.engine.settings import check_classes

pytestmark = pytest.mark.downstream


@pytest.fixture
def annotations(tmp_path):
    """Write an annotation file of two images and two leaves; give its path."""

    def write(names=('leaf', 'stem'), ids=(3, 90), **changes):
        content = dict(
            images=[
                dict(id=i, file_name=f'{i}.jpg', height=64, width=64) for i in (1, 2)
            ],
            annotations=[
                dict(id=i, image_id=i, category_id=ids[0], bbox=[1, 1, 9, 9], area=81)
                for i in (1, 2)
            ],
            categories=[dict(id=i, name=n) for i, n in zip(ids, names, strict=True)],
        )
        (tmp_path / 'a.json').write_text(json.dumps({**content, **changes}))
        return str(tmp_path / 'a.json')

    return write


def _detection(file, classes=('leaf', 'stem'), number=2, **head):
    dataset = dict(type='CocoDataset', ann_file=file, metainfo=dict(classes=classes))
    heads = dict(
        bbox_head=[dict(num_classes=number), dict(num_classes=number)],
        mask_head=dict(num_classes=number, **head),
    )
    return Config(
        dict(
            default_scope='mmdet',
            model=dict(roi_head=heads, rpn_head=dict(num_classes=1)),
            train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dataset)),
        )
    )


def test_numbers_of_categories_may_have_gaps(annotations):
    check_classes(_detection(annotations()), 'train', 'val')


def test_categories_that_are_not_asked_for_are_left_out(annotations):
    check_classes(_detection(annotations(), ('stem',), 1), 'train')


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        (('flower',), 'classes in config: flower; in .*a.json: leaf, stem. flower is'),
        (('leav', 'stem'), r'leav is not there: did you mean leaf\?'),
        (('stem', 'leaf'), 'in the order of the file: give them as leaf, stem'),
        ('leaf', r"classes='leaf' is a text and no file: one class is written \('lea"),
    ],
)
def test_other_classes_are_refused(annotations, classes, message):
    with pytest.raises(ValueError, match=message):
        check_classes(_detection(annotations(), classes), 'train')


def test_mmdet_leaves_out_what_the_file_does_not_name(annotations):
    """Without a word: the reason for the check. And it keeps the order of the file."""
    datasets = pytest.importorskip('mmdet.datasets')
    metainfo = dict(classes=('stem', 'flower', 'leaf'))
    dataset = datasets.CocoDataset(
        ann_file=annotations(), metainfo=metainfo, data_prefix=dict(img='')
    )
    assert dataset.cat_ids == [3, 90]
    label = dataset.get_data_info(0)['instances'][0]['bbox_label']
    assert dataset.metainfo['classes'][label] == 'stem'  # and is a leaf


@pytest.mark.parametrize('part', ['images', 'annotations', 'categories'])
def test_an_empty_file_is_refused(annotations, part):
    with pytest.raises(ValueError, match=f'a.json holds no {part}'):
        check_classes(_detection(annotations(**{part: []})), 'train')


@pytest.mark.parametrize(
    ('text', 'message'),
    [(None, 'x.json does not exist'), ('{', 'is no JSON'), ('[]', 'holds no images')],
)
def test_no_annotation_file_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / 'x.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        check_classes(_detection(str(tmp_path / 'x.json')), 'train')


def test_heads_have_as_many_classes_as_the_data(annotations):
    cfg = _detection(annotations(), number=80)
    message = 'bbox_head.0.num_classes=80, but train_dataloader.dataset has 2 classes'
    with pytest.raises(ValueError, match=message):
        check_classes(cfg, 'train')
    cfg.model.roi_head.bbox_head = dict(num_classes=2)
    with pytest.raises(ValueError, match='mask_head.num_classes=80'):
        check_classes(cfg, 'train')
    cfg.model.roi_head.mask_head.class_agnostic = True
    check_classes(cfg, 'train')


def test_only_the_data_of_the_stage_are_looked_at(annotations):
    check_classes(_detection('none.json'), 'val', 'test')


@pytest.fixture
def masks(tmp_path):
    """Write masks with the given values; the folder."""

    def write(*values, mode='P'):
        folder = tmp_path / 'masks'
        folder.mkdir()
        for i, value in enumerate(values):
            pixels = np.zeros((4, 4), np.uint8)
            pixels[0, 0] = value
            Image.fromarray(pixels, 'L').convert(mode).save(folder / f'{i}.png')
        return folder

    return write


def _segmentation(folder, classes=('road', 'sky'), number=2, **changes):
    return Config(
        dict(
            default_scope='mmseg',
            model=dict(
                decode_head=dict(num_classes=number),
                auxiliary_head=[
                    dict(num_classes=number),
                    dict(type='STDCHead', num_classes=9),
                ],
            ),
            train_dataloader=dict(
                dataset=dict(
                    type='BaseSegDataset',
                    data_root=str(folder.parent),
                    data_prefix=dict(seg_map_path=folder.name),
                    metainfo=dict(classes=classes),
                    pipeline=[dict(type='LoadAnnotations')],
                    **changes,
                )
            ),
        )
    )


def test_masks_hold_numbers_of_classes_or_255(masks):
    check_classes(_segmentation(masks(0, 1, 255, mode='L')), 'train')


def test_zero_is_no_class_where_labels_are_reduced(masks):
    folder = masks(0, 1, 2, mode='L')
    check_classes(_segmentation(folder, reduce_zero_label=True), 'train')
    message = 'holds the number 2, and the 2 classes of the config have 0 to 1'
    with pytest.raises(ValueError, match=message):
        check_classes(_segmentation(folder), 'train')


def test_a_palette_is_no_class_number(masks):
    """Indices count, as mmseg reads them, whatever their colours are."""
    folder = masks()
    image = Image.new('P', (4, 4), 1)
    image.putpalette([9] * 768)
    image.save(folder / 'a.png')
    check_classes(_segmentation(folder), 'train')


def test_classes_that_are_left_out_keep_their_numbers(masks):
    cfg = _segmentation(masks(18, mode='L'), ('road', 'car'))
    cfg.train_dataloader.dataset.type = 'CityscapesDataset'
    cfg.train_dataloader.dataset.seg_map_suffix = '.png'
    check_classes(cfg, 'train')


def test_masks_of_colours_are_refused(masks):
    with pytest.raises(ValueError, match='0.png has 3 channels: it must have one'):
        check_classes(_segmentation(masks(1, mode='RGB')), 'train')


def test_no_masks_are_refused(masks):
    with pytest.raises(ValueError, match=r'there are no masks \(\*.png\) in .*masks'):
        check_classes(_segmentation(masks()), 'train')


def test_heads_of_segmentors_have_as_many_classes(masks):
    message = 'model.decode_head.num_classes=150, but train_dataloader.dataset has 2'
    with pytest.raises(ValueError, match=message):
        check_classes(_segmentation(masks(1, mode='L'), number=150), 'train')


def test_data_sets_that_read_in_their_own_way_are_left_alone(tmp_path):
    cfg = _segmentation(tmp_path / 'none')
    cfg.train_dataloader.dataset.type = 'mmdet.XMLDataset'
    check_classes(cfg, 'train')
