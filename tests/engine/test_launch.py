"""A config is fitted to the command line and the machine, and says what it will do."""

from logging import Logger
from unittest.mock import Mock

import pytest
from mmengine.config import Config

from ccmim.engine import launch
from ccmim.engine.config import read_config


def _config(**changes):
    optimizer = dict(type='OptimWrapper', optimizer=dict(lr=0.1), accumulative_counts=4)
    cfg = dict(train_dataloader=dict(batch_size=8), optim_wrapper=optimizer)
    return Config(dict(cfg, auto_scale_lr=dict(base_batch_size=256), **changes))


@pytest.mark.parametrize('accumulated', [4, 3])
def test_scaling_counts_accumulation(accumulated):
    """mmengine divides batch * processes by the base: 16 / 64 = 16 * 4 / 256."""
    cfg = _config()
    cfg.optim_wrapper.accumulative_counts = accumulated
    launch.scale_learning_rate(cfg)
    wanted = pytest.approx(256 / accumulated)
    assert cfg.auto_scale_lr == dict(base_batch_size=wanted, enable=True)


def test_scaling_needs_a_base():
    cfg = _config()
    cfg.pop('auto_scale_lr')
    with pytest.raises(ValueError, match='auto_scale_lr.base_batch_size'):
        launch.scale_learning_rate(cfg)


def test_a_text_of_a_config_is_formatted_once(monkeypatch):
    asked = []
    monkeypatch.setattr(
        'yapf.yapflib.yapf_api.FormatCode',
        lambda text, **options: asked.append(text) or (f'{text}# formatted\n', True),
    )
    launch._format_once()
    launch._format_once()
    texts = [_config(seed=seed).pretty_text for seed in (0, 0, 1)]
    assert len(asked) == 2
    assert texts[0] == texts[1] == f'{asked[0]}# formatted\n' != texts[2]


def test_a_batch_for_which_the_rate_is_wrong_is_named(monkeypatch):
    lines = []
    monkeypatch.setattr(launch, 'print_log', lambda text, **_: lines.append(text))
    launch.report_batch(_config(), 2)
    assert 'Effective batch 64 = 8 a process x 2 processes x 4 accumul' in lines[0]
    assert 'learning rate 0.1 is for a batch of 256; --auto-scale-lr' in lines[0]
    assert 'multiplies it by 0.25' in lines[0]
    launch.report_batch(_config(), 8)
    assert 'WARNING' not in lines[1]


def test_amp():
    cfg = _config()
    launch.use_mixed_precision(cfg)
    assert cfg.optim_wrapper.type == 'ccmim.AutocastOptimWrapper'
    assert cfg.optim_wrapper.dtype == 'bfloat16'


def test_options_and_work_dir(tmp_path):
    (tmp_path / 'leaf.py').write_text('model = dict(b=1)\n')
    cfg = read_config(str(tmp_path / 'leaf.py'), None, {'model.b': 2})
    assert cfg.model.b == 2
    assert cfg.work_dir == 'work_dirs/leaf'
    assert read_config(str(tmp_path / 'leaf.py'), 'x').work_dir == 'x'
    with pytest.raises(FileNotFoundError, match='config none.py does not exist'):
        read_config('none.py')
    with pytest.raises(ValueError, match='unknown key modle: did you mean model?'):
        read_config(str(tmp_path / 'leaf.py'), None, {'modle.b': 2})
    loader = 'train_dataloader = dict(num_workers=2, persistent_workers=True)\n'
    (tmp_path / 'leaf.py').write_text(loader)
    alone = {'train_dataloader.num_workers': 0}
    cfg = read_config(str(tmp_path / 'leaf.py'), None, alone)
    assert cfg.train_dataloader == dict(num_workers=0), 'no worker persists'
    (tmp_path / 'leaf.py').write_text('a = b\n')
    with pytest.raises(ValueError, match="leaf.py cannot be read: NameError: name 'b'"):
        read_config(str(tmp_path / 'leaf.py'))


def test_no_sync_bn_without_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    made = lambda cfg: Mock(cfg=cfg, logger=Logger(''))  # noqa: E731
    monkeypatch.setattr(launch.Runner, 'from_cfg', made)
    model = dict(neck=[dict(norm_cfg=dict(type='SyncBN'))], type='SyncBNNet')
    cfg = launch.build_runner(_config(model=model)).cfg
    assert cfg.model == dict(neck=[dict(norm_cfg=dict(type='BN'))], type='SyncBNNet')
