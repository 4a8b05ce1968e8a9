"""`tools/scale.py` measures each size and writes a table and a plot."""

import pytest
from PIL import Image

from tests.processes import PYTHON, run


@pytest.mark.slow
def test_it_measures_what_is_asked(tmp_path):
    words = ['--images', '200', '100000', '--processes', '2', '--tokens', '196']
    done = run(*PYTHON, 'tools/scale.py', *words, '--workers', '1', '--out', tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / 'scale.md').read_text()
    head, _, *rows = [line.strip('| ').split(' | ') for line in text.splitlines()[:4]]
    numbers = [[float(v.replace(',', '')) for v in row] for row in rows]
    found = [dict(zip(head, row, strict=True)) for row in numbers]
    assert [row['images'] for row in found] == [200, 100_000]
    sizes = [row['list in the work dir, MB'] for row in found]
    assert 0 < sizes[0] < sizes[1] < 5
    assert found[1]['more in each worker, MB'] < 20  # not a copy of the list
    assert '| 2 | 127 |' in text
    assert Image.open(tmp_path / 'scale.png').width > 1000
