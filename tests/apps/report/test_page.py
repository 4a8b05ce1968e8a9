"""The report holds what the runs have logged, needs nothing else and harms nobody."""

import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ccmim.apps.report.html import Figure, write_report
from ccmim.apps.report.page_chart import plotly_script, thin_out
from ccmim.apps.report.page_pictures import embed
from ccmim.apps.report.page_tables import _data
from ccmim.apps.runs.scalars import Curve
from tests.logged import curve, write_session

VOID = {'meta', 'img', 'input', 'br'}


class Tree(HTMLParser):
    """Checks that tags close in order, and gathers attributes and numbers."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.values = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == 'data':
            self.values.append(dict(attrs)['value'])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parse(text):
    tree = Tree()
    tree.feed(text)
    assert tree.open == []
    return tree


def write_run(folder, losses, mask_ratio=0.75):
    lines = curve(losses, every=10, lr=0.1, time=0.5)
    lines = [dict(line, loss_reconstruction=line['loss']) for line in lines]
    config = f"model = dict(type='MAE', mask_ratio={mask_ratio})\n"
    write_session(folder, lines, config)
    return folder


def test_page_tells_what_the_logs_say(tmp_path):
    """Exact last and best values, one color a run, only settings that differ."""
    one = write_run(tmp_path / 'one', [3.0, 0.123456789, 0.25])
    two = write_run(tmp_path / 'two', [4.0, 2.0, 1.75], mask_ratio=0.5)
    page = tmp_path / 'report.html'
    write_report(page, 'Two', runs=[one, two])
    text = page.read_text()
    tree = parse(text)
    assert {'0.25', '1.75', '0.1', '0.5'} <= set(tree.values)
    assert 'best 0.1235 at step 20' in text
    charts = [a for _, a in tree.tags if 'data-chart' in a]
    assert len(charts) == 2  # the losses; what never changes is said in words
    assert 'one goes from 3 at step 10 to 0.25 at step 30' in charts[0]['aria-label']
    assert 'The same all the time: lr = 0.1, time = 0.5.' in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert data['names'] == ['one', 'two']
    assert data['charts'][int(charts[1]['data-chart'])] == dict(
        title='loss_reconstruction',
        lines=[
            dict(run=0, x=[10, 20, 30], y=[3.0, 0.123457, 0.25]),
            dict(run=1, x=[10, 20, 30], y=[4.0, 2.0, 1.75]),
        ],
    )
    differ = text.split('Settings that differ')[1].split('All settings')[0]
    assert re.findall(r'<th scope="row">(.*?)</th>', differ) == ['model.mask_ratio']
    ids = [a['id'] for _, a in tree.tags if 'id' in a]
    assert len(set(ids)) == len(ids)


def test_data_are_named_by_a_path():
    photos = dict(img_path='images/training', seg_map_path='annotations/training')
    for dataset, shown in (
        (dict(data_root='scenes', data_prefix=photos), 'scenes/images/training'),
        (dict(data_root='pets/', ann_file='train.json'), 'pets/train.json'),
        (dict(data=['a', 'b']), "['a', 'b']"),
        (dict(data_root='x'), 'x'),
    ):
        loader = dict(dataset=dict(type='RepeatDataset', dataset=dataset))
        assert _data(SimpleNamespace(config=dict(train_dataloader=loader))) == shown


def test_page_needs_no_network(tmp_path):
    """Nothing is fetched, and the policy of the page forbids it."""
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    page = tmp_path / 'report.html'
    run = write_run(tmp_path / 'run', [1.0, 2.0])
    write_report(page, 'One', figures=[Figure(tmp_path / 'a.png', 'A')], runs=[run])
    tree = parse(page.read_text())
    for _, attributes in tree.tags:
        for key in ('src', 'href', 'xlink:href', 'data', 'action'):
            assert (attributes.get(key) or '#').startswith(('#', 'data:image/'))
    policy = next(a['content'] for t, a in tree.tags if 'http-equiv' in a)
    assert policy.startswith("default-src 'none'; img-src data:;")
    ours = page.read_text().replace(plotly_script(), '')
    assert not re.search(r'https?://|@import|url\((?!#)', ours)
    images = [a for tag, a in tree.tags if tag == 'img']
    assert [image['alt'] for image in images] == ['A']


def test_names_are_text(tmp_path):
    """Names of folders, keys, titles and settings never become markup."""
    evil = '<script>alert(1)<\x1b[31m'
    run = write_run(tmp_path / evil, [1.0, 2.0])
    data = run / '20260102_030405' / 'vis_data'
    with (data / 'scalars.json').open('a') as file:
        for step, value in ((30, 1.0), (40, 2.0)):
            line = {f'{evil}" onload="x': value, 'iter': step, 'step': step}
            file.write(json.dumps(line) + '\n')
    (data / 'config.py').write_text(f'model = {f"</pre>{evil}"!r}\n')
    (run / 'bad_files.txt').write_text(f'{evil}\n')
    other = write_run(tmp_path / 'other', [1.0, 2.0])
    page = tmp_path / 'report.html'
    write_report(page, evil, [[evil], [evil, evil]], [evil], [], [evil], [run, other])
    tree = parse(page.read_text())
    assert sum(tag == 'script' for tag, _ in tree.tags) == 3
    assert not any(key.startswith('on') for _, a in tree.tags for key in a)
    assert '\x1b' not in page.read_text().replace(plotly_script(), '')


@pytest.mark.parametrize('max_bytes', [3_000, 100_000])
def test_large_pictures_shrink_to_their_room(tmp_path, max_bytes):
    """A picture that does not fit becomes a smaller JPEG; broken ones are left out."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / 'a.png')
    picture = embed(tmp_path / 'a.png', 'noise', max_bytes)
    assert picture.uri.startswith('data:image/jpeg;base64,')
    assert len(picture.uri) * 3 / 4 <= max_bytes + 30
    assert picture.width / picture.height == pytest.approx(4 / 3, rel=0.05)
    (tmp_path / 'b.png').write_bytes((tmp_path / 'a.png').read_bytes()[:500])
    assert embed(tmp_path / 'b.png', 'broken', max_bytes) is None


@pytest.mark.slow
def test_page_stays_below_15_mb(tmp_path):
    """Long logs of many runs with large pictures still make a page one can send."""
    rng = np.random.default_rng(0)
    noise = tmp_path / 'noise.png'
    Image.fromarray(rng.integers(0, 256, (500, 700, 3), np.uint8)).save(noise)
    runs = []
    for i in range(6):
        run = write_run(tmp_path / f'run{i}', rng.random(4000).tolist())
        (run / 'pictures').mkdir()
        for epoch in range(15):
            (run / 'pictures' / f'epoch_{epoch}.png').hardlink_to(noise)
        config = run / '20260102_030405' / 'vis_data' / 'config.py'
        config.write_text(f'text = {"x" * 1_000_000!r}\n')
        runs.append(run)
    page = tmp_path / 'report.html'
    write_report(page, 'Many', runs=runs)
    assert 2e6 < page.stat().st_size < 15e6


def test_thinned_curve_keeps_its_extremes():
    """A peak of one point survives, and so do the ends."""
    values = np.zeros(10_000)
    values[[1234, 5678]] = 7.0, -3.0
    thin = thin_out(Curve(np.arange(10_000), values), 100)
    assert len(thin.steps) <= 100
    assert (thin.values.max(), thin.values.min()) == (7.0, -3.0)
    assert thin.steps[[0, -1]].tolist() == [0, 9_999]
    assert {1234, 5678} <= set(thin.steps.tolist())
