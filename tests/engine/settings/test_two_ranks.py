"""With several processes a mistake is said once, and all end with its code."""

import pytest

from tests.processes import run


@pytest.mark.slow
@pytest.mark.dist
def test_two_processes_say_a_mistake_once(config_file, tmp_path):
    """Known to the main process alone: the other one waits for it and is told."""
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/epoch_1.pth').write_text('mine')
    words = ['tools/dist_train.sh', config_file, '2', '--work-dir', tmp_path / 'run']
    done = run('bash', *words)
    assert done.returncode == 2, done.stderr[-3000:]
    assert done.stderr.count('holds a run (epoch_1.pth): give --resume') == 1
    assert 'Traceback' not in done.stderr
    assert [path.name for path in (tmp_path / 'run').iterdir()] == ['epoch_1.pth']
