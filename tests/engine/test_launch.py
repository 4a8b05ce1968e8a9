"""A config is fitted to the command line and the machine, and says what it will do."""

from unittest.mock import Mock

import pytest
from mmengine.config import Config

from ccmim.engine import launch
from ccmim.engine.launch import (
    build_runner,
    read_config,
    report_batch,
    scale_learning_rate,
    start_processes,
    use_mixed_precision,
)


def _config(**changes):
    return Config(
        dict(
            train_dataloader=dict(batch_size=8),
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(lr=0.1), accumulative_counts=4
            ),
            auto_scale_lr=dict(base_batch_size=256),
            **changes,
        )
    )


def test_scaling_counts_accumulation():
    """mmengine divides batch * processes by the base: 16 / 64 = 16 * 4 / 256."""
    cfg = _config()
    scale_learning_rate(cfg)
    assert cfg.auto_scale_lr == dict(base_batch_size=64, enable=True)


def test_scaling_works_for_any_accumulation():
    cfg = _config()
    cfg.optim_wrapper.accumulative_counts = 3
    scale_learning_rate(cfg)
    assert cfg.auto_scale_lr.base_batch_size == pytest.approx(256 / 3)


def test_scaling_needs_a_base():
    cfg = _config()
    cfg.pop('auto_scale_lr')
    with pytest.raises(ValueError, match='auto_scale_lr.base_batch_size'):
        scale_learning_rate(cfg)


def test_a_batch_for_which_the_rate_is_wrong_is_named(monkeypatch):
    lines = []
    monkeypatch.setattr(launch, 'print_log', lambda text, **_: lines.append(text))
    report_batch(_config(), 2)
    assert 'Effective batch 64 = 8 a process x 2 processes x 4 accumul' in lines[0]
    assert 'learning rate 0.1 is for a batch of 256; --auto-scale-lr' in lines[0]
    assert 'multiplies it by 0.25' in lines[0]
    report_batch(_config(), 8)
    assert 'WARNING' not in lines[1]


def test_amp():
    cfg = _config()
    use_mixed_precision(cfg)
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
    (tmp_path / 'leaf.py').write_text('a = b\n')
    with pytest.raises(ValueError, match="leaf.py cannot be read: NameError: name 'b'"):
        read_config(str(tmp_path / 'leaf.py'))


def test_no_sync_bn_without_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setattr(launch.Runner, 'from_cfg', lambda cfg: Mock(cfg=cfg))
    model = dict(neck=[dict(norm_cfg=dict(type='SyncBN'))], type='SyncBNNet')
    cfg = build_runner(_config(model=model)).cfg
    assert cfg.model == dict(neck=[dict(norm_cfg=dict(type='BN'))], type='SyncBNNet')


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)


def test_more_processes_than_gpus(monkeypatch, two_gpus):
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    with pytest.raises(ValueError, match='4 processes were started for 2 GPUs'):
        build_runner(_config(model=dict()), 'pytorch')


def test_processes_are_connected_as_mmengine_would(monkeypatch, two_gpus):
    calls = []
    monkeypatch.setenv('SLURM_PROCID', '0')
    monkeypatch.setattr(
        launch, 'set_multi_processing', lambda **settings: calls.append(settings)
    )
    monkeypatch.setattr(
        launch, 'init_dist', lambda name, **settings: calls.append((name, settings))
    )
    env = dict(mp_cfg=dict(mp_start_method='fork'), dist_cfg=dict(backend='nccl'))
    start_processes(_config(model=dict(), env_cfg=env), 'slurm')
    assert calls == [
        dict(mp_start_method='fork', distributed=True),
        ('slurm', dict(backend='nccl')),
    ]


@pytest.mark.parametrize(
    ('launcher', 'variable'),
    [
        ('pytorch', 'RANK'),
        ('slurm', 'SLURM_PROCID'),
        ('mpi', 'OMPI_COMM_WORLD_RANK'),
    ],
)
def test_a_launcher_must_have_started_the_process(monkeypatch, launcher, variable):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ValueError, match=f'--launcher {launcher} is for processes'):
        start_processes(_config(), launcher)


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_launchers_of_clusters_need_gpus(monkeypatch, launcher):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setenv('SLURM_PROCID', '0')
    monkeypatch.setenv('OMPI_COMM_WORLD_RANK', '0')
    with pytest.raises(ValueError, match=f'launcher {launcher} needs GPUs'):
        start_processes(_config(), launcher)
