"""`ccmim transfer --full` takes the papers' recipes as they are, but for the data."""

from pathlib import Path

import pytest

from ccmim.api.catalogue import home
from ccmim.apps.cli.tasks import Tasks
from ccmim.checkpoints import Architecture
from ccmim.engine.config import read_config
from ccmim.labels.layouts import Instances
from ccmim.labels.map_folders import Maps

PARTS = (Path('images'), Path('maps'))
MAPS = Maps(Path('root'), PARTS, PARTS, ('a', 'b'), False, ('.jpg', '.png'))
INSTANCES = Instances(Path('root'), PARTS, PARTS, ('a', 'b'))
SIZES = dict(b=(768, 12, 12), l=(1024, 24, 16))


def _tasks(letter, out, full, pos_embed='sincos'):
    width, depth, heads = SIZES[letter]
    sizes = (width, depth, heads, 4 * width)
    return Tasks(Architecture(*sizes, 224, 16, pos_embed=pos_embed), out, full=full)


@pytest.mark.parametrize('letter', SIZES)
def test_the_backbone_is_that_of_the_recipe(tmp_path, letter):
    """Positions that the checkpoint holds fixed are trained, as in the papers."""
    tasks = _tasks(letter, tmp_path, full=True)
    for file, name in (
        (tasks.write(MAPS, 'maps'), f'segmentation/upernet_vit{letter}_ade20k'),
        (tasks.write(INSTANCES, 'boxes'), f'detection/mask_rcnn_vit{letter}_coco'),
    ):
        ours = read_config(str(file)).model.backbone
        theirs = read_config(str(home() / f'mm_configs/{name}.py')).model.backbone
        assert ours.pos_embed == 'learned'
        for key in ('pos_embed', 'out_indices', 'global_blocks', 'drop_path_rate'):
            assert ours.get(key) == theirs.get(key), key


def test_a_network_without_positions_stays_without(tmp_path):
    tasks = _tasks('b', tmp_path, full=True, pos_embed='none')
    file = tasks.write(INSTANCES, 'boxes')
    assert read_config(str(file)).model.backbone.pos_embed == 'none'


def test_the_short_recipe_follows_the_checkpoint(tmp_path):
    file = _tasks('l', tmp_path, full=False).write(MAPS, 'maps')
    backbone = read_config(str(file)).model.backbone
    assert backbone.pos_embed == 'sincos'
    assert tuple(backbone.out_indices) == (5, 11, 17, 23)
