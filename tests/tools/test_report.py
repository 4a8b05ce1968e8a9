"""The report of a comparison and of single runs, from the command line."""

import pytest

from ccmim.apps.report.page import write_page
from ccmim.apps.report.page_comparison import read_comparison
from ccmim.apps.runs.folder import find_runs
from tests.logged import curve, write_session


@pytest.fixture
def comparison(tmp_path):
    """Two arms with one task, as ``tools/compare.py`` leaves them."""
    for arm in ('mae', 'ccmim'):
        write_session(tmp_path / f'{arm}_seed0' / 'toy', curve([2.0, 1.0]))
    scores = 'arm,task,seed,metric,value\nmae,toy,0,mIoU,30\nmae,toy,1,mIoU,32\n'
    scores += 'ccmim,toy,0,mIoU,35\nccmim,toy,1,mIoU,38\n'
    (tmp_path / 'scores.csv').write_text(scores)
    return tmp_path


def test_comparison_has_its_table_on_top(comparison):
    page = comparison / 'report.html'
    write_page(page, 'C', find_runs([comparison]), read_comparison(comparison))
    text = page.read_text()
    assert 'mae</th><td>31.0 \N{PLUS-MINUS SIGN} 1.4 (2)</td>' in text
    # Student's t of the leads 5 and 6: 12.706 * 0.5 on each side of 5.5.
    assert 'ccmim - mae</th><td>+5.5 [-0.9, +11.9]</td>' in text
    assert text.index('>Results<') < text.index('>Runs</h2>')
    assert read_comparison(comparison / 'mae_seed0').table == ()


def test_command(comparison, run_tool):
    page = comparison / 'both.html'
    parts = comparison / 'mae_seed0', comparison / 'ccmim_seed0'
    code, said, error = run_tool('report.py', *parts, '--out', page)
    assert code == 0, error
    assert said.startswith('2 runs, ')
    assert '<title>mae_seed0, ccmim_seed0</title>' in page.read_text()
