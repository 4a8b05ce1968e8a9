"""Two commits of a tiny repository, of which the second costs less."""

import os
import re
import signal
import subprocess

import pytest

from tests.processes import PYTHON, ROOT, start

BURN = 'for ((i = 0; i < {}; i++)); do :; done\n'
LINES = """# the cost is that of children, and of the second call
if test ! -e $KEPT/known; then bash burn; fi; touch $KEPT/known $OUT/new; bash burn
false ||| bash burn
bash burn; bash burn --- bash burn

test ! -e $OUT/new; echo so; echo ends it; exit 3
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose work tree burns a twentieth of what its commit does."""
    monkeypatch.chdir(tmp_path)
    git = ('git', '-c', 'user.name=a', '-c', 'user.email=a@b')
    (tmp_path / 'burn').write_text(BURN.format(200_000))
    for words in ('init', '-q'), ('add', '.'), ('commit', '-q', '-m', 'slow'):
        subprocess.run([*git, *words], check=True)
    (tmp_path / 'burn').write_text(BURN.format(10_000))
    (tmp_path / 'lines').write_text(LINES)
    return tmp_path


def worktrees():
    """The lines of git, of which one is the repository itself."""
    done = subprocess.run(['git', 'worktree', 'list'], capture_output=True, check=True)
    return done.stdout.decode().splitlines()


def test_ratios_of_cpu_time_and_commands_that_fail(repository, run_tool):
    code, out, err = run_tool(
        'compare_commits.py', 'HEAD', '--file', 'lines', '--rounds', '1'
    )
    rows = [line.split('|')[1:-1] for line in out.splitlines() if 'burn' in line]
    assert len(rows) == 2
    for row in rows:
        before, after, ratio = map(float, row[1:4])
        assert before > after > 0
        assert ratio == pytest.approx(after / before, abs=0.05)
    failed = [line for line in err.splitlines() if line.startswith('FAILED')]
    assert failed == [
        'FAILED before: false: code 1: no output',
        'FAILED before: test ! -e $OUT/new; echo so; echo ends it; exit 3: '
        'code 3: ends it',
    ]
    assert code == 1
    assert re.search(r'before: \w{12}\nafter: \w{12}\+$', out)
    assert len(worktrees()) == 1


def test_ctrl_c_and_unknown_commits_leave_no_worktree(repository, run_tool):
    code, _, err = run_tool('compare_commits.py', 'v9', '--', 'true')
    assert (code, err) == (2, 'error: no v9: fatal: invalid reference: v9\n')
    script = [*PYTHON, ROOT / 'tools/compare_commits.py', 'HEAD', '--rounds', 1, '--']
    # After a second the tool waits for it, on a busy machine, too.
    command = f'sleep 1; echo $$ > {repository}/pid; sleep 60'
    with start(*script, command, cwd=repository) as process:
        while not list(repository.glob('pid')):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int((repository / 'pid').read_text()), 0)
    assert len(worktrees()) == 1
