"""A report is made of whatever a run has left: odd values are shown, none ends it."""

import json
import os
import random
import re
import signal
import time

import pytest
from PIL import Image

from ccmim.apps.report.html import write_report
from tests.logged import SESSION, curve, write_session

GOOD = curve([1.9, 1.8, 1.7, 1.6, 1.5], every=10, lr=0.1)
DEEP = '[' * 100_000 + ']' * 100_000


def lines(*more):
    """Good lines with odd ones between; texts stand as they are."""
    texts = [text if isinstance(text, str) else json.dumps(text) for text in more]
    good = [json.dumps(line) for line in GOOD]
    return '\n'.join([*good[:3], *texts, *good[3:]]) + '\n'


def row(**values):
    return dict(GOOD[2], iter=35, step=35) | values


SCALARS = {
    'infinite': lines(row(loss=float('inf'))),
    'minus infinite': lines(row(loss=-float('inf'), lr=float('nan'))),
    'huge float': lines(row(loss=1e308, loss_b=-1e308)),
    'huge integer': lines(row(loss=10**400)),
    'beyond all floats': lines('{"loss": 1e999, "iter": 35, "step": 35}'),
    'infinite step': lines('{"loss": 1, "iter": 1e999, "step": 1e999}'),
    'no number as step': lines('{"loss": 1, "iter": 1, "step": NaN}'),
    'negative step': lines(row(step=-5, iter=-5)),
    'huge step': lines(row(step=10**30, iter=10**30)),
    'infinite epoch': lines('{"loss": 1, "iter": 35, "step": 35, "epoch": 1e999}'),
    'no number as epoch': lines('{"loss": 1, "iter": 35, "step": 35, "epoch": NaN}'),
    'half an epoch': lines(row(epoch=0.25)),
    'text as step': lines(row(step='35')),
    'deep': lines(DEEP),
    'deep value': lines('{"loss": ' + DEEP + ', "iter": 35, "step": 35}'),
    'a list': lines('[1, 2, 3]', 'null', '7', '"loss"'),
    'nested': lines(row(loss=[1, 2], other=dict(a=1))),
    'booleans': lines(row(loss=True)),
    'cut': lines()[:-20],
    'binary': lines('\x00\x01\ufffd'),
    'half a pair': lines('{"\\ud800": 3, "iter": 35, "step": 35}'),
    'times of zero': lines(*[row(time=0.0, data_time=0.0)] * 3),
    'no number in times': lines(*[row(time=float('nan'), data_time=1.0)] * 3),
    'all no number': lines(*[row(other=float('nan'), step=s) for s in (36, 37)]),
    'infinite range': lines(
        *[row(o=v, step=s) for s, v in ((36, -1e308), (37, 1e308))]
    ),
    'steps that fall': lines(row(step=2, iter=2), row(step=1, iter=1)),
    '30,000 keys': lines(
        *[{f'k{i}': s + i for i in range(30_000)} | row(step=35 + s) for s in (1, 2)]
    ),
    'a long key': lines(row(**{'k' * 100_000: 1.0})),
    'crlf': lines().replace('\n', '\r\n'),
}
CONFIGS = {
    'unhashable keys': 'model = {[1]: 2, {}: 3, (1, 2): 4}\n',
    'deep': f'model = {"[" * 90}1{"]" * 90}\n',
    'too deep': f'model = {DEEP}\n',
    'sums': 'model = ' + '+'.join(['1'] * 50_000) + '\n',
    'odd lengths': "train_cfg = dict(max_epochs='ten', max_iters=-3)\n",
    'no dict': 'train_cfg = 7\nmodel = None\n',
    'not Python': 'model = dict(\n',
    'null byte': 'model = 1\x00\n',
    'a call': "model = __import__('os').system('touch hacked')\n",
    'huge number': f'model = dict(a={"9" * 5000})\n',
}
LOGS = {
    'a 99th month': '2026/99/99 99:99:99 - mmengine\n2026/01/02 03:04:05 - x\n',
    'backwards': '2026/01/02 03:04:05 - x\n2025/01/02 03:04:05 - y\n',
    'binary': '\x00\xff' * 1000,
}


@pytest.fixture
def run(tmp_path):
    """A run with a good log, whose files a test replaces."""
    write_session(tmp_path / 'run', GOOD)
    return tmp_path / 'run'


@pytest.fixture(autouse=True)
def _limit():
    """Whatever waits is ended."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail('it has no end'))
    signal.alarm(60)
    yield
    signal.alarm(0)


def page_of(run):
    start = time.process_time()
    write_report(run / 'report.html', 'A report', runs=[run])
    assert time.process_time() - start < 20
    text = (run / 'report.html').read_text(encoding='utf-8')
    assert len(text) < 3e6
    return text


def losses(text):
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    chart = next(chart for chart in data['charts'] if chart['title'] == 'loss')
    return dict(zip(chart['lines'][0]['x'], chart['lines'][0]['y'], strict=True))


@pytest.mark.parametrize('text', SCALARS.values(), ids=SCALARS)
def test_odd_values(run, text):
    """What is good in the log is drawn, whatever else it holds."""
    (run / SESSION / 'vis_data/scalars.json').write_text(text, encoding='utf-8')
    found = losses(page_of(run))
    good = {10: 1.9, 20: 1.8, 30: 1.7, 40: 1.6}
    assert {step: found[step] for step in good} == good


def test_keys_that_are_not_shown_are_counted(run):
    (run / SESSION / 'vis_data/scalars.json').write_text(SCALARS['30,000 keys'])
    page = page_of(run)
    assert '29,002 more keys are not shown' in page
    assert 'k990' in page
    assert 'k1010' not in page


@pytest.mark.parametrize('text', CONFIGS.values(), ids=CONFIGS)
def test_odd_configs(run, text, monkeypatch):
    monkeypatch.chdir(run)
    (run / SESSION / 'vis_data/config.py').write_text(text)
    assert losses(page_of(run))[10] == 1.9
    assert not (run / 'hacked').exists()


@pytest.mark.parametrize('text', LOGS.values(), ids=LOGS)
def test_odd_logs(run, text):
    (run / SESSION / f'{SESSION}.log').write_bytes(text.encode('latin-1'))
    assert losses(page_of(run))[10] == 1.9


def test_pipes_and_links_are_passed_over(run, tmp_path):
    """A pipe never ends, and what lies elsewhere is nobody's business."""
    Image.new('RGB', (40, 40), (1, 2, 3)).save(tmp_path / 'secret.png')
    (tmp_path / 'secret.txt').write_text('a secret\n')
    (run / 'pictures').mkdir()
    os.mkfifo(run / 'pictures' / 'masks_epoch_1.png')
    (run / 'pictures' / 'masks_epoch_2.png').symlink_to(tmp_path / 'secret.png')
    (run / 'pictures' / 'masks_epoch_3.png').symlink_to('masks_epoch_3.png')
    Image.new('RGB', (40, 40), (9, 9, 9)).save(run / 'pictures' / 'masks_epoch_4.png')
    os.mkfifo(run / '20260102_030405' / 'vis_data' / 'config.py')
    (run / 'bad_files.txt').symlink_to(tmp_path / 'secret.txt')
    (run / '20260102_030405' / 'x.json').symlink_to('/proc/self/environ')
    (run / f'epoch_{"9" * 40}.pth').touch()
    text = page_of(run)
    assert losses(text)[10] == 1.9
    assert 'a secret' not in text
    assert text.count('<img ') == 1
    assert 'epoch 4' in text


def test_random_bytes_in_every_file(run):
    """Whole files and parts of them replaced by noise, with a seed each."""
    data = run / SESSION / 'vis_data'
    Image.new('RGB', (40, 40)).save(run / SESSION / 'a.png')
    picture = (run / SESSION / 'a.png').read_bytes()
    (run / 'pictures').mkdir()
    for seed in range(8):
        rng = random.Random(seed)
        for file, good in (
            (data / 'scalars.json', lines().encode()),
            (data / 'config.py', b"model = dict(type='MAE', a=[1, dict(b=2)])\n" * 20),
            (run / SESSION / f'{SESSION}.log', LOGS['backwards'].encode()),
            (run / 'pictures' / 'masks_epoch_1.png', picture),
        ):
            bytes_ = bytearray(good)
            for _ in range(rng.randrange(40)):
                bytes_[rng.randrange(len(bytes_))] = rng.randrange(256)
            file.write_bytes(bytes_[: rng.randrange(len(bytes_)) + 1])
        page_of(run)
