"""`tools/scale.py` measures each size and writes a table and a plot."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

TOOL = Path(__file__).parents[2] / 'tools/scale.py'


@pytest.mark.slow
def test_it_measures_what_is_asked(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, TOOL, '--images', '200', '100000', '--processes', '2'),
            *('--tokens', '196', '--workers', '1', '--out', tmp_path),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / 'scale.md').read_text().splitlines()
    head, _, small, large = lines[:4]
    names = [name.strip() for name in head.strip('|').split('|')]
    found = [
        dict(
            zip(
                names,
                (float(v.replace(',', '')) for v in row.strip('|').split('|')),
                strict=True,
            )
        )
        for row in (small, large)
    ]
    assert [row['images'] for row in found] == [200, 100_000]
    sizes = [row['list in the work dir, MB'] for row in found]
    assert 0 < sizes[0] < sizes[1] < 5
    assert found[1]['more in each worker, MB'] < 20  # not a copy of the list
    assert '| 2 | 127 |' in '\n'.join(lines)
    assert Image.open(tmp_path / 'scale.png').width > 1000
