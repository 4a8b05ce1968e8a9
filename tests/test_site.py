"""The site is built without a warning, and fetches nothing when it is looked at."""

import re
import sys

import pytest

from tests.processes import run

pytest.importorskip('mkdocs')
pytest.importorskip('material')
pytest.importorskip('mkdocstrings')


@pytest.mark.slow
def test_the_site(request, tmp_path):
    root = request.config.rootpath
    words = ['mkdocs', 'build', '--strict', '-q', '-d', tmp_path]
    done = run(sys.executable, '-m', *words, env=dict(NO_MKDOCS_2_WARNING=1))
    assert done.returncode == 0, done.stderr
    pages = {p.relative_to(tmp_path).as_posix(): p for p in tmp_path.rglob('*.html')}
    wanted = {'index', 'own_data', 'gallery', 'configs', 'changelog'}
    assert {f'{name}.html' for name in wanted} <= {*pages}
    for name, page in pages.items():
        text = page.read_text('utf-8')
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*src="([^"]+)"', text)
        link = r'<link[^>]*rel="(?:style|pre|icon)[^>]*href="([^"]+)"'
        loaded += re.findall(link, text)
        assert [a for a in loaded if re.match(r'(https?:)?//', a)] == [], name
    api = re.sub(r'<[^>]+>', '', pages['api/masking.html'].read_text('utf-8'))
    assert 'unit_size: Count = 32' in api, 'the range is in the signature'
    assert 'ranges.html#ccmim.ranges.Count' in pages['api/masking.html'].read_text()
    configs = pages['configs.html'].read_text('utf-8')
    files = sorted(root.glob('mm_configs/[!_]*/*.py'))
    assert len(files) > 100
    assert [file.stem for file in files if file.stem not in configs] == []
    start = configs.index('<td><code>mask_rcnn_vitb_coco<')
    row = configs[start : configs.index('</tr>', start)]
    assert 'href="https://github.com/facebookresearch/detectron2' in row
    assert '51.6 box AP' in row
