"""Each tool says what it is for, and shows a command to begin with."""

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTED_BY_OTHERS = {'torchrun.py'}
TOOLS = sorted(
    path.name
    for path in (ROOT / 'tools').glob('*.py')
    if path.name not in STARTED_BY_OTHERS
)
SCRIPTS = sorted(
    path.name for path in (ROOT / 'tools').glob('*.sh') if path.name != 'common.sh'
)


@pytest.mark.parametrize('name', TOOLS)
def test_help_has_an_example(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [f'tools/{name}', '--help'])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
    assert end.value.code == 0
    text = capsys.readouterr().out
    body = text.split('\n\n', 1)[1]
    command = 'quickstart.sh' if name == 'quickstart.py' else name
    assert re.search(rf'(python|bash)\s+tools/{command}', body)


@pytest.mark.parametrize('name', SCRIPTS)
def test_a_script_begins_with_its_usage(name):
    head = (ROOT / 'tools' / name).read_text()[:1500]
    assert f'tools/{name}' in head
