"""A panoptic set made of maps and of objects is read, checked, and scored by mmdet."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, METRICS, DefaultScope
from PIL import Image

from ccmim.dense.per_image import keep_samples
from ccmim.engine.config import read_config
from ccmim.engine.settings import check_config
from ccmim.evaluation.resampling import figure
from tests.labels.sets import Objects

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

LEAF = 'mm_configs/small/eomt_vitt_street.py'
THINGS, STUFF = ('car', 'zebra', 'tortoise'), ('sky', 'road')
SIDES = 30, 40  # of the photos


@pytest.fixture
def street(tmp_path, request):
    """Maps with two cars that do not touch, and photos of animals; both in one set."""
    from make_panoptic import make

    root = request.config.rootpath
    animals = Objects(tmp_path / 'animals')
    animals.write()
    values = np.zeros(SIDES, np.uint8)
    values[15:] = 2  # sky above, road below
    values[18:24, 4:12] = values[18:24, 20:30] = 1
    values[:2] = 255
    for split in ('training', 'validation'):
        for kind in ('images', 'annotations'):
            (tmp_path / 'maps' / kind / split).mkdir(parents=True)
        Image.fromarray(values).save(tmp_path / 'maps/annotations' / split / '0.png')
        photo = Image.new('RGB', SIDES[::-1], 'gray')
        photo.save(tmp_path / 'maps/images' / split / '0.jpg')
    info = dict(classes=('sky', 'car', 'road'), palette=[(0, 0, 0)] * 3)
    sets = f'dataset=dict(data_root={str(tmp_path / "maps")!r}, metainfo={info})'
    (tmp_path / 'maps.py').write_text(
        f'_base_ = {str(root / "mm_configs/small/upernet_vitt_camvid.py")!r}\n'
        f'train_dataloader = dict({sets})\nval_dataloader = dict({sets})\n'
    )
    base = root / 'mm_configs/small/mask_rcnn_vitt_penn_fudan.py'
    lines = [f'_base_ = {str(base)!r}']
    for split in ('train', 'val'):
        named = dict(
            data_root=f'{animals.root}/',
            ann_file=f'annotations/{split}.json',
            data_prefix=dict(img=f'{split}/'),
            metainfo=dict(classes=('zebra', 'tortoise'), palette=[(0, 0, 0)] * 2),
        )
        lines.append(f'{split}_dataloader = dict(dataset={named})')
    (tmp_path / 'objects.py').write_text('\n'.join(lines) + '\n')
    out = tmp_path / 'street'
    files = dict(maps=str(tmp_path / 'maps.py'), objects=str(tmp_path / 'objects.py'))
    make(Namespace(out=out, things=['car'], rename=[], **files))
    return out


@pytest.fixture
def config(street, monkeypatch, request):
    monkeypatch.setenv('CCMIM_STREET', str(street))
    cfg = read_config(str(request.config.rootpath / LEAF))
    info = dict(classes=THINGS + STUFF, thing_classes=THINGS, stuff_classes=STUFF)
    info['palette'] = [(i, i, i) for i in range(5)]
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.metainfo = info
    cfg.model.panoptic_head.update(num_things_classes=3, num_stuff_classes=2)
    return cfg


def test_segments_are_those_of_maps_and_of_objects(street):
    content = json.loads((street / 'annotations/panoptic_train.json').read_text())
    names = {c['id']: c['name'] for c in content['categories']}
    kinds = {c['name']: c['isthing'] for c in content['categories']}
    assert kinds == dict.fromkeys(THINGS, 1) | dict.fromkeys(STUFF, 0)
    found = [
        sorted((names[s['category_id']], s['area']) for s in one['segments_info'])
        for one in content['annotations']
    ]
    cars = [('car', 48), ('car', 60)]
    assert found[0] == [*cars, ('road', 15 * 40 - 108), ('sky', 13 * 40)]
    assert [name for name, _ in found[1]] == ['tortoise', 'zebra']  # and nothing else
    assert len(found) == 3


def test_the_set_is_good_and_each_fault_is_named(config, street):
    def problems():
        return [p for r in check_config(config, ('train',), 1) for p in r.problems]

    assert problems() == []
    (report,) = check_config(config, ('train',), 1)
    assert report.counts == dict(car=2, zebra=2, tortoise=1, sky=1, road=1)
    report.pictures[0].draw()
    info = config.train_dataloader.dataset.metainfo
    for changes, message in (
        (dict(stuff_classes=()), 'metainfo has no stuff_classes'),
        (dict(stuff_classes=STUFF[::-1]), 'must be thing_classes, then stuff_classes'),
        (dict(classes=(*THINGS, 'sky', 'sea')), 'classes of the config that are no'),
    ):
        kept = dict(info)
        info.update(changes)
        assert any(message in line for line in problems()), message
        info.clear()
        info.update(kept)
    config.model.panoptic_head.num_stuff_classes = 4
    assert any('num_stuff_classes=4, but there are 2' in p for p in problems())
    config.model.panoptic_head.num_stuff_classes = 2
    (street / 'annotations/panoptic_train/00001.png').unlink()
    assert any('maps that do not exist' in line for line in problems())
    file = street / 'annotations/panoptic_train.json'
    content = json.loads(file.read_text())
    for category in content['categories']:
        del category['isthing']
    file.write_text(json.dumps(content))
    assert any('do not say isthing' in line for line in problems())
    segment = content['annotations'][0]['segments_info'][0]
    for changes, message in (
        (dict(annotations=[dict(image_id=1)]), 'is no panoptic file'),
        (dict(images=3), 'images must be a list'),
        (dict(area=float('nan')), 'annotations[0].segments_info[0] (id 1): area=nan'),
        (dict(iscrowd='maybe'), "(id 1): iscrowd='maybe': it must be 0, 1"),
        (dict(category_id='1'), "category_id='1': it must be a valid integer"),
    ):
        kept = dict(segment)
        segment.update(changes)
        file.write_text(json.dumps(content | changes))
        assert any(message in line for line in problems()), message
        segment.update(kept)
    file.write_text('[1, 2]')
    assert any('is no panoptic file' in line for line in problems())


@pytest.mark.parametrize('wrong', [False, True])
def test_mmdet_gives_the_truth_a_quality_of_100(config, wrong):
    """And roads that are called skies cost both of these classes their quality.

    The sky is 520 of 1012 pixels then, still more than half; the road is missed.
    """
    with DefaultScope.overwrite_default_scope('mmdet'):
        data = DATASETS.build(config.val_dataloader.dataset)
        metric = METRICS.build(config.val_evaluator)
        metric.dataset_meta, samples = data.metainfo, {}
        keep_samples(metric, samples)
        for i in range(len(data)):
            sample = data[i]['data_samples']
            segments = truth_of(config, i)
            if wrong:
                segments[segments % 1000 == 4] = 3  # roads are skies
            shown = dict(sem_seg=torch.from_numpy(segments)[None])
            metric.process({}, [dict(sample.metainfo, pred_panoptic_seg=shown)])
        found = metric.evaluate(len(data))
    assert found['coco_panoptic/PQ_th'] == pytest.approx(100.0)
    wanted = 100 * 520 / 1012 / 2 if wrong else 100.0
    assert found['coco_panoptic/PQ_st'] == pytest.approx(wanted)
    # What each image adds makes the same figure, for the bootstrap.
    sample = samples['coco_panoptic/PQ']
    assert len(sample) == len(data)
    assert figure(sample) == pytest.approx(found['coco_panoptic/PQ'])


def truth_of(config, index):
    """The truth at full size: what a perfect network would predict."""
    from panopticapi.utils import rgb2id

    root = config.val_dataloader.dataset.data_root
    content = json.loads(Path(root, 'annotations/panoptic_val.json').read_text())
    one = content['annotations'][index]
    numbers = {c['id']: i for i, c in enumerate(content['categories'])}
    file = f'{root}annotations/panoptic_val/{one["file_name"]}'
    drawn = rgb2id(np.asarray(Image.open(file)))
    segments = np.full(drawn.shape, 5)
    for number, part in enumerate(one['segments_info'], 1):
        kind = numbers[part['category_id']]
        segments[drawn == part['id']] = kind + 1000 * number * (kind < 3)
    return segments
