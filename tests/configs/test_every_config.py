"""Every config: one key gives it its weights, one its length."""

import functools
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from ccmim.checkpoints.load import LoadBackbone
from ccmim.engine.config import read_config
from ccmim.engine.settings import StartHook, clear_errors
from ccmim.registry import MODELS
from ccmim.vit.initial import Pretrained
from tests.tiny_methods import LABELED

KEY = 'model.backbone.init_cfg.checkpoint'
CONFIGS = Path(__file__).parents[2] / 'mm_configs'
LEAVES = sorted(p for p in CONFIGS.glob('*/*.py') if p.parent.name != '_base_')
SEEN = []
PRETRAINING = [
    path
    for path in LEAVES
    if path.parent.name == 'small' and not path.stem.startswith(LABELED)
]


@functools.cache
def _read(path):
    return read_config(str(path), options={KEY: '/no/such/file.pth'})


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_a_missing_file_ends_in_one_line(path, capsys):
    cfg = _read(path)
    init_cfg = cfg.model.backbone.init_cfg
    assert init_cfg.keys() <= {'type', 'checkpoint', 'allow_missing', 'resize_patch'}
    assert init_cfg.get('type', 'Pretrained') == 'Pretrained'
    if cfg.model.backbone in SEEN:  # many leaves have the same
        return
    SEEN.append(cfg.model.backbone)
    with (
        DefaultScope.overwrite_default_scope(cfg.default_scope),
        torch.device('meta'),  # ViT-H would take 2 GB
    ):
        backbone = ROOT_MODELS.build(cfg.model.backbone)
    with pytest.raises(SystemExit) as end, clear_errors(StartHook()):
        backbone.init_weights()
    assert end.value.code == 2
    text = capsys.readouterr().err.splitlines()[-1]
    assert text.startswith('error: ')
    assert '/no/such/file.pth' in text


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_the_schedule_ends_with_the_training(path):
    """Warm-up is followed by a decay, which has no end of its own."""
    cfg = _read(path)
    by_step = not cfg.get('log_processor', {}).get('by_epoch', True)
    stages = cfg.get('param_scheduler') or []  # none for k-NN
    stages = [stage for stage in stages if 'param_name' not in stage]
    for part in {stage.get('part') for stage in stages}:
        warm_up, decay = [s for s in stages if s.get('part') == part][-2:]
        assert warm_up.type.endswith('LinearLR')
        # A last rate that is a number would not scale with the batch; a ratio does.
        assert not {'end', 'T_max'} & decay.keys()
        assert not decay.get('eta_min')
        # mmengine counts milestones from `begin`, people from the first step.
        begin = decay.get('begin', 0) or min(decay.milestones)
        assert warm_up.end == begin if 'begin' in decay else warm_up.end < begin < 1
        for stage in (warm_up, decay):
            assert by_step != stage.get('by_epoch', True)
            assert by_step or stage.convert_to_iter_based
    if stages:
        assert by_step != cfg.default_hooks.checkpoint.get('by_epoch', True)
    if path.parent.name == 'classification' and stages:
        assert cfg.train_cfg.max_epochs % cfg.train_cfg.val_interval == 0
        assert cfg.default_hooks.sync_buffers.type == 'SyncBuffersHook'
        assert cfg.default_hooks.classes.type == 'ClassesHook'


@pytest.mark.parametrize('path', PRETRAINING, ids=lambda path: path.stem)
def test_pretraining_begins_from_a_file(path, tmp_path):
    cfg = read_config(str(path), options={KEY: str(tmp_path / 'weights.pth')})
    if cfg.model.type in ('MaskDistill', 'RelationalDistill'):
        pytest.skip('needs the weights of a teacher')
    width, heads = {'tiny': (192, 3), 'small': (384, 6)}[cfg.model.backbone.arch]
    cfg.model.backbone.arch = dict(embed_dim=width, depth=1, num_heads=heads)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        source = MODELS.build({**cfg.model.backbone, 'init_cfg': None}).state_dict()
        torch.save(source, tmp_path / 'weights.pth')
        model = MODELS.build(cfg.model)
    assert not torch.equal(model.backbone.cls_token, source['cls_token'])
    model.init_weights()
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, source[name]), name


@pytest.mark.parametrize(
    ('init_cfg', 'message'),
    [
        (dict(type='Kaiming'), "init_cfg.type='Kaiming' must be 'Pretrained'"),
        (dict(file='x.pth'), r'unknown key .*init_cfg\.file: use one of'),
        ('x.pth', "init_cfg='x.pth' must be"),
    ],
)
def test_what_the_backbone_does_not_read_is_refused(tiny_vit, init_cfg, message):
    with pytest.raises(ValueError, match=message):
        tiny_vit(init_cfg=init_cfg)


def test_the_backbone_takes_what_the_loader_takes():
    options = Pretrained.__annotations__.keys() - {'type', 'checkpoint'}
    assert options
    LoadBackbone('x.pth', **dict.fromkeys(options))
    with pytest.raises(ValueError, match=r'init_cfg\.prefix is unknown') as error:
        LoadBackbone('x.pth', prefix='a')
    assert all(name in str(error.value) for name in options)


def test_a_teacher_names_its_weights_elsewhere():
    backbone = dict(type='ccmim.VisionTransformer', init_cfg=dict(checkpoint='x.pth'))
    with pytest.raises(ValueError, match=r'set teacher\.checkpoint instead'):
        MODELS.build(dict(type='ccmim.ViTTeacher', backbone=backbone, grid=(2, 2)))
