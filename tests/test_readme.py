"""The README shows the code that runs, and names files that exist."""

import inspect
import re
import textwrap

import ccmim


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


def test_it_is_one_page(request):
    text = _readme(request)
    assert len(text.splitlines()) <= 150
    assert text.count('![') == 1
