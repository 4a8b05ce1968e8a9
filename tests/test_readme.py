"""The README shows the code that runs, and names files that exist."""

import inspect
import re
import textwrap

import pytest

import ccmim
from ccmim.apps.compare import read_csv


def _readme(request):
    return (request.config.rootpath / 'README.md').read_text()


def test_the_ten_lines_are_the_code(request):
    shown = re.search(r'```python\n(def loss.*?)```', _readme(request), re.DOTALL)[1]
    body = shown.split('\n', 1)[1]
    source = textwrap.dedent(inspect.getsource(ccmim.CCMIM.loss))
    code = source.rsplit('"""', 1)[1].lstrip('\n')
    assert textwrap.dedent(body).strip() == textwrap.dedent(code).strip()


def test_the_studys_figures_are_the_studys(request):
    """What the README quotes stands in the study's tables, which a script writes."""
    study = (request.config.rootpath / 'docs/study.md').read_text()
    study = study.split('### CPU budget, CIFAR-10', 1)[1].split('\n### ', 1)[0]
    section = _readme(request).split('### Does ccMIM help?', 1)[1].split('###', 1)[0]
    rows = re.findall(r'^\| .*\(`(\w+)`\) \| (.*) \|$', section, re.MULTILINE)
    assert len(rows) == 4
    for arm, quoted in rows:
        known = ' '.join(re.findall(rf'^\| {arm} \|(.*)$', study, re.MULTILINE))
        missing = [c for c in quoted.split(' | ') if c.strip() and c not in known]
        assert missing == []


# A file of docs/study/adapting, an arm, a metric, and where its mean stands.
GOOD_WEIGHTS = """
distill | relational | camvid mIoU | {} mIoU in dense NN retrieval
distill | lightly_train | camvid mIoU | as it comes: {})
distill | relational | k-NN | {} % k-NN
distill | lightly_train | k-NN | ; {}), 48.9 mIoU
distill | relational | penn_fudan linear | {} mIoU by a linear probe
distill | lightly_train | penn_fudan linear | ; {}) ([tables]
heads_fast | start | penn_fudan_300 box AP | Mask R-CNN {} box AP
heads_fast | random | penn_fudan_300 box AP | random weights {};
adapt | start | camvid mIoU | CamVid {} to
adapt | ccmim_none | camvid mIoU | to {} mIoU (+1.7
adapt | start | camvid linear | linear probe {} to
adapt | ccmim_none | camvid linear | to {} (+5.8
adapt | mae_none | camvid mIoU | alone falls to {},
adapt_long | ccmim_none | camvid mIoU | two seeds: {} and
adapt_long | ccmim_none | camvid linear | and {}. MAE
"""


@pytest.mark.parametrize('row', GOOD_WEIGHTS.strip().splitlines())
def test_what_good_weights_give_is_what_was_measured(request, row):
    file, arm, metric, words = row.split(' | ')
    path = request.config.rootpath / f'docs/study/adapting/{file}.csv'
    scores = [s for s in read_csv(path) if s.arm == arm]
    scores = [s for s in scores if f'{s.task} {s.metric}'.endswith(metric)]
    assert len(scores) in (1, 2, 3, 6)
    mean = sum(s.value for s in scores) / len(scores)
    assert words.format(f'{mean:.1f}') in ' '.join(_readme(request).split())


def test_it_is_one_page(request):
    text = _readme(request)
    assert len(text.splitlines()) <= 150
    assert text.count('![') == 1
