"""The commands refuse a file that holds code, in one line and without running it."""

import os
from importlib import import_module

import pytest
import torch

from ccmim.apps.compare.copies import Copy
from ccmim.apps.demo.scenes import write_toy_scenes

pytestmark = pytest.mark.slow
PRETRAIN = 'mm_configs/pretrain/ccmim_vitb.py'
SEGMENT = 'mm_configs/demo/upernet_toy.py'


class Payload:
    """Makes a file when it is unpickled without care."""

    def __init__(self, marker):
        self._marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self._marker}',)


@pytest.fixture
def run(request, tmp_path):
    """Run a command in a fork of this process; its exit code and what it wrote."""
    log = tmp_path / 'log.txt'
    for name in ('ccmim.methods', 'mmseg.datasets', 'mmseg.models', 'mmseg.evaluation'):
        import_module(name)  # once

    def run(*words):
        env = {**os.environ, 'OMP_NUM_THREADS': '1'}
        env['CCMIM_TOY'] = str(tmp_path / 'scenes')
        copy = Copy([str(word) for word in words], request.config.rootpath, env, log)
        copy.wait(300)
        return copy.returncode, log.read_text()

    return run


def test_every_command_refuses(run, image_folder, tmp_path):
    file, marker, work_dir = (tmp_path / x for x in ('bad.pth', 'marker', 'run'))
    write_toy_scenes(tmp_path / 'scenes', 2, 2)
    parts = ('state_dict', 'optimizer', 'message_hub', 'meta')
    torch.save({**{part: {} for part in parts}, 'extra': Payload(marker)}, file)
    data = f'train_dataloader.dataset.data={image_folder}'
    small = 'train_dataloader.batch_size=4'
    commands = (
        ('train.py', PRETRAIN, '--resume', file, '--cfg-options', data),
        ('train.py', PRETRAIN, '--cfg-options', data, small,
         f'load_from={file}'),
        ('train.py', SEGMENT, '--cfg-options',
         f'model.backbone.init_cfg.checkpoint={file}'),
        ('train.py', SEGMENT, '--resume', file),
        ('test.py', SEGMENT, file),
    )  # fmt: skip
    for i, (tool, config, *words) in enumerate(commands):
        code, text = run(
            f'tools/{tool}', config, '--work-dir', f'{work_dir}{i}', *words
        )
        line = text.splitlines()[-1]
        assert code == 2, text
        assert line.startswith(f'error: checkpoint {file} holds code or is no check')
        assert 'Set CCMIM_TRUST_CHECKPOINT=1 only if you made the file' in line
        assert 'Traceback' not in text
        assert not marker.exists()
    torch.load(file, weights_only=False)  # the control: it would have worked
    assert marker.exists()
