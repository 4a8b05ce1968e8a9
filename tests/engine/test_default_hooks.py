"""Any hook can be switched off by name, and none by another setting."""

from pathlib import Path

import pytest

from ccmim.apps.runs.log import read_log
from ccmim.engine.config import read_config
from ccmim.engine.hooks.default import GUARANTEES
from ccmim.engine.launch import build_runner
from ccmim.engine.version import this_version
from tests.engine.settings.conftest import CONFIG


@pytest.fixture
def config(request, image_folder, tmp_path):
    """A tiny pretraining of two epochs of two steps, with every default hook."""

    def config(name, text=''):
        base = request.config.rootpath / 'mm_configs/pretrain/ccmim_vitb.py'
        file = tmp_path / f'{name}.py'
        tiny = CONFIG.format(base=base, data=image_folder)
        file.write_text(
            f"{tiny}\ntrain_cfg['max_epochs'] = 2\n{text}\n"
            "optim_wrapper = dict(accumulative_counts=1, dtype='float32')\n"
        )
        cfg = read_config(str(file), str(tmp_path / name))
        cfg.experiment_name = name
        return cfg

    return config


def kinds(runner):
    return {type(hook).__name__ for hook in runner.hooks}


EVERY = ('runtime_info', 'timer', 'logger', 'param_scheduler', 'checkpoint', 'probe')
EVERY += ('sampler_seed', 'progress', 'speed', 'pictures', 'loader_timeout')


@pytest.mark.parametrize(
    'off',
    [
        'logger=None',
        'timer=None',
        'runtime_info=None',
        'checkpoint=None',
        'logger=dict(interval=0), probe=dict(interval=0), pictures=dict(interval=0)',
        ', '.join(f'{name}=None' for name in (*EVERY, *GUARANTEES)),
    ],
)
def test_what_is_switched_off_is_not_missed(config, off):
    cfg = config('off', f'default_hooks = dict({off})')
    runner = build_runner(cfg)
    runner.train()
    assert runner.iter == 4
    (log,) = Path(runner.log_dir).glob('*.log')
    assert read_log(log).environment['ccmim'] == this_version()
    if 'interval' in off:
        assert not {'LoggerHook', 'ProbeHook', 'PictureHook'} & kinds(runner)


def test_hooks_of_ones_own_replace_no_guarantee(config, tmp_path):
    cfg = config('own', "custom_hooks = [dict(type='EMAHook')]")
    promised = {'StepSeedHook', 'FiniteHook', 'ResumeHook', 'StopHook'}
    assert promised | {'EMAHook'} <= kinds(build_runner(cfg))
    cfg = config('less', "custom_hooks = [dict(type='ccmim.StopHook', interval=2)]")
    runner = build_runner(cfg)
    assert [type(h).__name__ for h in runner.hooks].count('StopHook') == 1


def test_the_command_line_switches_a_guarantee_off(config, tmp_path):
    config('named')
    options = {'default_hooks.finite': None}
    cfg = read_config(str(tmp_path / 'named.py'), str(tmp_path / 'named'), options)
    cfg.experiment_name = 'named'
    found = kinds(build_runner(cfg))
    assert 'FiniteHook' not in found
    assert 'StopHook' in found
