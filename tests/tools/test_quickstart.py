"""What the quickstart hands to its stages, and how it ends when it cannot go on."""

import subprocess
import sys

import pytest


@pytest.fixture
def quickstart(request, monkeypatch, tmp_path):
    """The script as a module, which moves to the checkout and sets a variable."""
    monkeypatch.syspath_prepend(request.config.rootpath / 'tools')
    monkeypatch.setenv('CCMIM_TOY', '')
    monkeypatch.chdir(tmp_path)
    import quickstart

    return quickstart


def test_photos_are_looked_for_where_the_user_stands(quickstart, tmp_path, monkeypatch):
    """The stages are started in the checkout."""

    def compare(plan, out, photos, seeds):
        raise SystemExit(str(photos))

    monkeypatch.setattr(quickstart, 'compare', compare)
    (tmp_path / 'photos').mkdir()
    words = ['quickstart.py', '--images', 'photos', '--out', 'out']
    monkeypatch.setattr(sys, 'argv', words)
    with pytest.raises(SystemExit, match=f'^{tmp_path}/photos$'):
        quickstart.main()


@pytest.mark.parametrize(
    ('option', 'said'),
    [('ro', 'Read-only file system'), ('size=64k', 'No space left on device')],
)
def test_a_disk_that_takes_nothing_ends_it_in_one_line(
    quickstart, tmp_path, monkeypatch, option, said
):
    """A real one. The scenes are the first that does not fit."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', option, 'none', disk]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip('mounting is not permitted here')
    monkeypatch.setattr(quickstart, 'IMPORTS', ())
    words = ['quickstart.py', '--fast', '--out', str(disk / 'out')]
    monkeypatch.setattr(sys, 'argv', words)
    try:
        line = quickstart.run()
    finally:
        subprocess.run(['umount', disk], check=True)
    assert line.startswith('\nerror: ')
    assert said in line
    assert line.count('\n') == 1
