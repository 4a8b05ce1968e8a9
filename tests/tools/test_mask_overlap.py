"""tools/mask_overlap.py says how much of what masks hide lies on objects."""

from functools import partial

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.apps.compare import read_csv
from ccmim.apps.demo.scenes import write_toy_scenes
from ccmim.registry import MODELS

CONFIG = 'mm_configs/demo/ccmim_toy.py'


@pytest.fixture
def overlap(request, monkeypatch, run_tool):
    """Run the command in the checkout: exit code, standard output and errors."""
    monkeypatch.chdir(request.config.rootpath)
    return partial(run_tool, 'mask_overlap.py')


@pytest.mark.slow
def test_a_table_has_all_maskers_between_chance_and_the_objects(overlap, tmp_path):
    pytest.importorskip('pycocotools')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('ccmim'):
        method = MODELS.build(Config.fromfile(CONFIG).model)
    torch.save(dict(state_dict=method.state_dict()), tmp_path / 'run.pth')
    scenes = write_toy_scenes(tmp_path / 'scenes', 1, 3)
    boxes = scenes / 'annotations/instances_validation.json'
    photos = (scenes / 'images/validation', boxes)
    page = tmp_path / 'page.md'
    page.write_text('<!-- tables of out -->\n<!-- end of tables of out -->\n')
    overlap(
        *(tmp_path / 'run.pth', '--config', CONFIG, '--out', tmp_path / 'out'),
        *('--page', page),
        *('--data', 'toy', *photos, '--own', 'as trained'),
        *(CONFIG, tmp_path / 'run.pth'),
    )
    scores = read_csv(tmp_path / 'out' / 'scores.csv')
    found = {s.arm: s.value for s in scores if s.metric == 'on objects'}
    assert found['random'] == pytest.approx(0, abs=1)
    assert found['objects first'] == max(found.values()) > 5
    assert found['as trained'] == found['published order']
    gaps = {s.arm: s.value for s in scores if s.metric == 'importance gap'}
    assert gaps.keys() == found.keys() - {'objects first'}
    assert gaps['attention kept'] < 0 < gaps['published order'] < gaps['highest scores']
    table = (tmp_path / 'out' / 'table.md').read_text()
    assert 'highest scores' in table
    assert table in page.read_text()
