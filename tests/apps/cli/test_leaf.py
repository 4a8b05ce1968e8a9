"""The leaf that the command prints is the config that a transfer would use."""

import json
import os
import runpy
import sys
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from ccmim.apps.cli.predict import _save
from ccmim.apps.cli.tasks import Tasks
from ccmim.checkpoints import read_weights
from ccmim.engine.config import read_config
from ccmim.files import WriteError
from ccmim.labels.layouts import find_labels
from ccmim.vit import VisionTransformer

KEYS = ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader')
KEYS += ('val_evaluator', 'test_evaluator', 'train_cfg')


@pytest.fixture
def weights(tmp_path):
    """A tiny network with the patches of DINOv2."""
    arch = dict(embed_dim=64, depth=4, num_heads=2)
    vit = VisionTransformer(arch, 56, 14, pos_embed='learned', layer_scale_init=0.1)
    torch.save(vit.state_dict(), tmp_path / 'p14.pth')
    return tmp_path / 'p14.pth'


def leaf(ccmim, data, weights, tmp_path, *words):
    code, said, error = ccmim('leaf', data, '--backbone', weights, *words)
    assert code == 0, error
    (tmp_path / 'leaf.py').write_text(said)
    return read_config(str(tmp_path / 'leaf.py')), error


@pytest.mark.parametrize('kind', ['class_folders', 'coco_folder', 'map_folder'])
def test_it_says_what_transfer_does(
    ccmim, kind, weights, tmp_path, request, monkeypatch
):
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    monkeypatch.chdir(tmp_path)
    data = request.getfixturevalue(kind)
    told = ['--num-heads', '2'] + ['--steps', '2'] * (kind != 'class_folders')
    cfg, said = leaf(ccmim, data, weights, tmp_path, '--lists', 'out', *told)
    architecture = read_weights(weights, num_heads=2).architecture
    steps = None if kind == 'class_folders' else 2
    tasks = Tasks(architecture, tmp_path / 'out', steps=steps)
    wanted = read_config(str(tasks.write(find_labels(data), data.name)))
    if steps:
        assert 'patches of 14 px are resampled to 16 px' in said
        start, file = cfg.model.backbone.init_cfg, str(weights)
        assert start == dict(type='Pretrained', checkpoint=file, resize_patch=True)
        wanted.model.backbone.init_cfg = start
    for key in KEYS:
        if steps and key.startswith('val'):
            continue  # transfer tests once, at the end, on the same images
        assert cfg.get(key) == wanted.get(key), key


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['coco_folder', 'map_folder'])
def test_it_trains_and_its_checkpoint_predicts(
    ccmim, kind, weights, tmp_path, request, monkeypatch
):
    """Two steps from the weights; then pictures of photos, and COCO's JSON or maps."""
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    data = request.getfixturevalue(kind)
    told = ['--num-heads', '2', '--steps', '2', '--lists', tmp_path / 'out']
    leaf(ccmim, data, weights, tmp_path, *told)
    words = ['leaf.py', '--work-dir', 'run', '--cfg-options']
    words += ['train_dataloader.num_workers=0', 'val_dataloader.num_workers=0']
    words += ['train_dataloader.batch_size=2']
    tool = os.path.abspath('tools/train.py')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['tools/train.py', *words])
    runpy.run_path(tool, run_name='__main__')
    photos = data / ('images' if kind == 'coco_folder' else 'images/validation')
    code, said, error = ccmim('predict', 'run/iter_2.pth', photos, '--score', '0')
    assert code == 0, error
    names = {p.stem for p in photos.iterdir()}
    out = tmp_path / 'predictions'
    assert {p.stem for p in (out / 'pictures').iterdir()} == names
    if kind == 'map_folder':
        assert {p.stem for p in (out / 'maps').glob('*.png')} == names
        assert len((out / 'maps/classes.txt').read_text().split('\n')) == 4
        return
    from ccmim.labels.coco_file import read_coco

    found = read_coco(out / 'predictions.json')
    assert found.notes == []
    assert {i['file_name'] for i in found.content['images']} == {
        p.name for p in photos.iterdir()
    }
    objects = found.content['annotations']
    assert objects
    assert all({'score', 'segmentation'} <= one.keys() for one in objects)
    assert f'{len(objects):,} objects of 1 class: ' in said
    code, _, error = ccmim('predict', 'run/iter_2.pth', photos)
    assert code == 2
    assert 'is there already' in error


def test_neighbors_of_class_folders_need_no_config(
    ccmim, class_folders, weights, tmp_path, monkeypatch
):
    """The estimate is said; k is at most the number of training photos."""
    monkeypatch.chdir(tmp_path)
    told = ['--num-heads', '2', '--random', '--linear', '--image-size', '28']
    code, said, error = ccmim('knn', weights, '--data', class_folders, *told)
    assert code == 0, error
    assert 'Estimate     about 1 s: 20 photos at 28 x 28 px' in said
    assert 'top-1 in percent, 16 and 4 images, class features' in said
    out = tmp_path / 'work_dirs/knn_my classes/accuracies.json'
    rows = json.loads(out.read_text())
    assert list(rows) == ['random', 'checkpoint']
    assert all(row.keys() == {'k=16', 'linear'} for row in rows.values())


def test_a_picture_of_predictions_is_complete_or_not_there(tmp_path, monkeypatch):
    full = Mock(side_effect=OSError(28, 'No space left on device'))
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(WriteError, match=r'a.png: No space left'):
        _save(np.zeros((4, 4, 3), np.uint8), tmp_path / 'a.png')
    assert [*tmp_path.iterdir()] == []
