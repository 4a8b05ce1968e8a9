"""tools/patch_knn.py segments by the nearest patches."""

import json
import re

import pytest
import torch

from ccmim.apps.demo.scenes import write_toy_scenes
from ccmim.engine.config import read_config
from ccmim.vit import VisionTransformer

CONFIG = 'mm_configs/demo/upernet_toy.py'
pytestmark = pytest.mark.slow


@pytest.fixture
def patch_knn(request, monkeypatch, run_tool, tmp_path):
    """Make a function that runs the command on a few scenes; what it says."""
    scenes = write_toy_scenes(tmp_path / 'scenes', 6, 2, num_unlabeled=1)
    monkeypatch.setenv('CCMIM_TOY', str(scenes))
    monkeypatch.chdir(request.config.rootpath)
    return lambda *words: run_tool('patch_knn.py', *words)[1]


def test_patches_are_their_own_neighbors_and_those_of_other_images_are_not(
    patch_knn, tmp_path
):
    prefix = 'val_dataloader.dataset.data_prefix'
    same = (
        f'{prefix}.img_path=images/training',
        f'{prefix}.seg_map_path=annotations/training',
    )
    options = ['--config', CONFIG, '--out', tmp_path / 'found.json']
    text = patch_knn(*options, '--k', 1, '--cfg-options', *same)
    known = float(re.search(r'^random +(\S+)$', text, re.M)[1])
    torch.manual_seed(3)
    backbone = read_config(CONFIG).model.backbone
    vit = VisionTransformer(backbone.arch, backbone.img_size)
    torch.save(dict(state_dict=vit.state_dict()), tmp_path / 'vit.pth')
    text = patch_knn(tmp_path / 'vit.pth', *options, '--random', '--images', 2)
    found = json.loads((tmp_path / 'found.json').read_text())
    found = {name: values['patch_mIoU'] for name, values in found.items()}
    assert found['random'] != found['checkpoint'], 'the weights are loaded'
    for value in found.values():
        assert f'{value:.2f}' in text
        assert 0 < value < 0.7 * known <= 70, 'each image was known before'
