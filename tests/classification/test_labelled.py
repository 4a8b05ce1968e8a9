"""A sample's label is that of the image that is in it."""

import pickle

import numpy as np
import pytest
import torch

from ccmim.classification import LabeledImages
from ccmim.data import SampleKey

COLOR = dict(blue=2, green=1, red=0)  # the channel that is bright


def _agrees(dataset, sample):
    """Whether the picture shows the color of its label."""
    bright = sample['inputs'].float().mean((1, 2)).argmax().item()
    return COLOR[dataset.metainfo['classes'][sample['labels']]] == bright


def test_folders_are_classes_in_sorted_order(class_folder, transform):
    (class_folder / '.cache').mkdir()
    dataset = LabeledImages(class_folder, transform)
    assert dataset.metainfo == dict(classes=('blue', 'green', 'red'), num_images=30)
    assert dataset.labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert all(_agrees(dataset, dataset[i]) for i in range(30))
    sample = dataset[SampleKey(5, 1, 12)]
    assert (sample['labels'], sample['data_samples']) == (1, 12)
    pixels = sample['inputs']
    assert (pixels.dtype, pixels.shape) == (torch.uint8, (3, 64, 64))


def test_a_class_is_the_first_folder_however_deep_the_image(class_folder, transform):
    (class_folder / 'red' / 'a').mkdir()
    (class_folder / 'red' / 'red_3.png').rename(class_folder / 'red' / 'a' / 'x.png')
    dataset = LabeledImages(class_folder, transform)
    assert np.bincount(dataset.labels).tolist() == [10, 10, 10]


def test_an_empty_class_folder_keeps_its_number(class_folder, transform):
    (class_folder / 'cyan').mkdir()
    dataset = LabeledImages(class_folder, transform)
    assert dataset.metainfo['classes'] == ('blue', 'cyan', 'green', 'red')
    assert sorted(set(dataset.labels.tolist())) == [0, 2, 3]


def test_given_classes_have_their_order(class_folder, transform):
    dataset = LabeledImages(class_folder, transform, classes=['red', 'green', 'blue'])
    assert dataset.labels.tolist() == [2] * 10 + [1] * 10 + [0] * 10
    with pytest.raises(ValueError, match="lies in 'red', which is not one of classes"):
        LabeledImages(class_folder, transform, classes=['blue', 'green'])


def test_an_image_outside_the_class_folders_is_named(class_folder, transform):
    (class_folder / 'red' / 'red_3.png').rename(class_folder / 'lost.png')
    with pytest.raises(ValueError, match=r'lost.png lies in no class folder'):
        LabeledImages(class_folder, transform)


def test_a_folder_without_folders_is_named(tmp_path, transform):
    with pytest.raises(ValueError, match='No class folders in'):
        LabeledImages(tmp_path, transform)
    with pytest.raises(FileNotFoundError, match='No such folder or list'):
        LabeledImages(tmp_path / 'no', transform)


@pytest.mark.parametrize('words', [('sky', 'fire'), ('1', '0')])
def test_a_list_gives_names_or_numbers(class_folder, tmp_path, transform, words):
    """Paths with blanks too; relative ones start at the list or at root."""
    (class_folder / 'red' / 'red_1.png').rename(class_folder / 'red' / 'red one.png')
    blue, red = words
    lines = f'# two pictures\nblue/blue_4.png {blue}\n\nred/red one.png\t{red}\n'
    (class_folder / 'list.txt').write_text(lines)
    dataset = LabeledImages(class_folder / 'list.txt', transform)
    assert dataset.labels.tolist() == [1, 0]
    assert dataset.metainfo['classes'] == tuple(sorted(words))
    (tmp_path / 'elsewhere.txt').write_text(lines)
    other = LabeledImages(tmp_path / 'elsewhere.txt', transform, root=class_folder)
    assert torch.equal(other[1]['inputs'], dataset[1]['inputs'])
    named = LabeledImages(class_folder / 'list.txt', transform, classes=sorted(words))
    assert named.labels.tolist() == [1, 0]


def test_numbers_are_counted_as_numbers(class_folder, transform):
    names = [f'{c}/{c}_{i}.png' for c in ('blue', 'red') for i in range(6)]
    lines = [f'{name} {i}' for i, name in enumerate(names)]
    (class_folder / 'list.txt').write_text('\n'.join(lines))
    dataset = LabeledImages(class_folder / 'list.txt', transform)
    assert dataset.labels.tolist() == list(range(12))
    assert len(dataset.metainfo['classes']) == 12


@pytest.mark.parametrize(
    ('text', 'classes', 'message'),
    [
        ('blue/blue_1.png', None, 'no class behind blue/blue_1.png'),
        ('# nothing\n', None, 'the list is empty'),
        ('blue/blue_1.png sky', ['sea'], "has the class 'sky', which is not one of"),
        ('blue/blue_1.png 3', ['a', 'b'], "has the class '3', which is not one of"),
    ],
)
def test_bad_lists_are_refused(class_folder, transform, text, classes, message):
    (class_folder / 'list.txt').write_text(text)
    with pytest.raises(ValueError, match=message):
        LabeledImages(class_folder / 'list.txt', transform, classes=classes)


def test_a_damaged_image_is_replaced_with_its_label(class_folder, transform):
    (class_folder / 'red' / 'red_0.png').write_bytes(b'')
    dataset = LabeledImages(class_folder, transform)
    samples = [dataset[SampleKey(0, visit, 20)] for visit in range(12)]
    assert all(_agrees(dataset, sample) for sample in samples)
    assert len({sample['labels'] for sample in samples}) > 1


def test_a_share_is_of_each_class_and_a_function_of_the_seed(class_folder, transform):
    def names(**options):
        dataset = LabeledImages(class_folder, transform, **options)
        assert all(_agrees(dataset, dataset[i]) for i in range(len(dataset)))
        return [dataset.name(i) for i in range(len(dataset))]

    chosen = names(label_ratio=0.26)  # 2.6 of ten
    assert chosen == sorted(chosen), 'ascending, as all of them are'
    kinds = [name.split('/')[-2] for name in chosen]
    assert kinds == ['blue'] * 3 + ['green'] * 3 + ['red'] * 3
    assert names(label_ratio=0.26) == chosen
    assert names(label_ratio=0.26, seed=1) != chosen
    # A smaller share is part of a larger one.
    assert {*names(label_ratio=0.6)} > {*chosen}
    assert len(names(label_ratio=0.01)) == 3  # at least one of each class


def test_what_a_share_leaves_out_stands_in_for_nothing(class_folder, transform):
    dataset = LabeledImages(class_folder, transform, label_ratio=0.2)
    kept = {dataset.name(i) for i in range(6)}
    with open(dataset.name(0), 'wb'):
        pass
    drawn = [dataset[SampleKey(0, v, 0)]['data_samples'] for v in range(20)]
    shown = {dataset.name(i) for i in drawn}
    assert shown <= kept - {dataset.name(0)}


def test_a_list_of_names_chooses_as_for_one_per_cent_of_imagenet(
    class_folder, tmp_path, transform
):
    (tmp_path / 'names.txt').write_text('red_7.png\nblue/blue_2.png\n')
    dataset = LabeledImages(class_folder, transform, names=tmp_path / 'names.txt')
    assert dataset.labels.tolist() == [0, 2]
    assert dataset.metainfo['classes'] == ('blue', 'green', 'red')
    assert dataset.name(1).endswith('red/red_7.png')
    with pytest.raises(ValueError, match='not both'):
        LabeledImages(class_folder, transform, label_ratio=0.5, names='x')


def test_names_that_fit_no_image_or_several_are_refused(
    class_folder, tmp_path, transform
):
    (tmp_path / 'names.txt').write_text('red_7.png\nred_99.png\n')
    with pytest.raises(ValueError, match=r'1 of the 2 images .* such as red_99.png'):
        LabeledImages(class_folder, transform, names=tmp_path / 'names.txt')
    for name in ('red', 'blue'):
        old = class_folder / name / f'{name}_0.png'
        old.rename(old.with_name('same.png'))
    (tmp_path / 'names.txt').write_text('same.png\n')
    with pytest.raises(ValueError, match='of which there are several'):
        LabeledImages(class_folder, transform, names=tmp_path / 'names.txt')


def test_it_pickles(class_folder, transform):
    dataset = pickle.loads(pickle.dumps(LabeledImages(class_folder, transform)))
    assert (len(dataset), dataset[25]['labels']) == (30, 2)
