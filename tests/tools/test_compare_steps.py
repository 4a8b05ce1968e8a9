"""Two commits of a toy training, whose steps cost less in the second."""

import subprocess

import pytest

# As long as an epoch that ends, with a hook call after each step as mmengine's Runner.
TRAINING = """
from types import SimpleNamespace
from mmengine.runner import Runner
for step in range(9):
    for i in range({count}):
        pass
    loss = dict(loss=1 / (step + {first}))
    Runner.call_hook(SimpleNamespace(_hooks=[]), 'after_train_iter', outputs=loss)
print('no more steps')
"""


@pytest.mark.slow  # two processes import mmengine
def test_ratio_of_steps_and_a_training_that_ends(tmp_path, monkeypatch, run_tool):
    monkeypatch.chdir(tmp_path)
    git = ('git', '-c', 'user.name=a', '-c', 'user.email=a@b')
    tool = tmp_path / 'tools' / 'train.py'
    tool.parent.mkdir()
    tool.write_text(TRAINING.format(count=10_000_000, first=1))
    for words in ('init', '-q'), ('add', '.'), ('commit', '-q', '-m', 'slow'):
        subprocess.run([*git, *words], check=True)
    tool.write_text(TRAINING.format(count=1_000_000, first=2))

    asked = 'HEAD', 'a.py', '--steps', '2', '--rounds'
    code, out, _ = run_tool('compare_steps.py', *asked, '3')
    before, after, times = map(float, out.splitlines()[2].split('|')[1:4])
    assert before > 4 * after > 0
    assert times == pytest.approx(before / after, rel=0.5)
    assert '0.500000 0.333333, 0.250000 0.200000, 0.166667 0.142857, 0.125000' in out
    assert code == 0

    code, _, err = run_tool('compare_steps.py', *asked, '4')
    assert code == 2
    assert err.endswith('error: the training ended: no more steps\n')
    listed = subprocess.run(['git', 'worktree', 'list'], capture_output=True)
    assert len(listed.stdout.splitlines()) == 1
