"""The commands refuse a file that holds code, in one line and without running it."""

import os
import subprocess
import sys

import pytest
import torch

pytestmark = [pytest.mark.slow, pytest.mark.downstream]
PRETRAIN, SEGMENT = (
    'mm_configs/pretrain/ccmim_vitb.py',
    'mm_configs/demo/upernet_toy.py',
)


class Payload:
    """Makes a file when it is unpickled without care."""

    def __init__(self, marker):
        self._marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self._marker}',)


@pytest.fixture
def run(request, tmp_path):
    """Run a command; its exit code and what it wrote."""

    def run(*words):
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', *map(str, words)],
            cwd=request.config.rootpath,
            env={
                **os.environ,
                'PYTHONPATH': str(request.config.rootpath),
                'OMP_NUM_THREADS': '1',
                'CCMIM_TOY': str(tmp_path / 'scenes'),
            },
            capture_output=True,
            text=True,
            timeout=600,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_every_command_refuses(run, image_folder, tmp_path):
    file, marker, work_dir = (tmp_path / x for x in ('bad.pth', 'marker', 'run'))
    run('tools/make_toy_scenes.py', tmp_path / 'scenes', '--train', 2, '--val', 2)
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
