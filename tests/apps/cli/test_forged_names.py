"""Whatever comes from a disk is shown escaped: it writes no line of its own."""

import csv
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from ccmim.apps.cli.main import main
from ccmim.apps.cli.mistakes import report
from ccmim.apps.cli.tools import run_tool
from ccmim.apps.cli.transfer_plan import free_name
from ccmim.apps.compare import StageError
from ccmim.apps.report.page import Details, Summary, write_page
from ccmim.files import Parser
from ccmim.text import CaptionedImages
from tests.labels.sets import photo

FORGED = 'x\n\x1b[31merror: all is well'


@pytest.fixture
def world(tmp_path, tiny_vit):
    """Photos, folders and weights of forged names; the first photo is none."""
    root = tmp_path
    for i in range(3):
        photo(root / FORGED / f'{i}{FORGED}.png', i)
    (root / FORGED / f'0{FORGED}.png').write_bytes(b'none')
    state = tiny_vit(pos_embed='learned').state_dict()
    torch.save(state, root / f'{FORGED}.pth')
    torch.save({**state, FORGED: torch.zeros(1)}, root / 'key.pth')
    return root


def failed_stage(photos, weights):
    return report(StageError(f'the end of its log:\n{FORGED}'))


def captions(photos, weights):
    """One image has no words, one does not exist; then the columns have no names."""
    file = Path(f'{FORGED}.csv')
    rows = [('image', 'caption'), (f'1{FORGED}.png', ''), (f'9{FORGED}.png', 'a dog')]
    for lines in (rows, [(FORGED, FORGED)]):
        with open(file, 'w', newline='') as table:
            csv.writer(table).writerows(lines)
        with pytest.raises((ValueError, OSError)) as caught:
            CaptionedImages(photos, [dict(type='ccmim.ToUint8Tensor')], file)
        report(caught.value)


def page(photos, weights):
    """As ``ccmim transfer`` writes it: figures, names of data and what was typed."""
    rows, picture = [['', FORGED], [FORGED, FORGED]], Path(photos) / f'1{FORGED}.png'
    details = [Details(FORGED, rows, [(picture, FORGED)])]
    figures = [(picture, FORGED)]
    summary = Summary(rows, [FORGED] * 2, figures, [FORGED], rows, details)
    write_page(Path('page.html'), FORGED, [], summary)


def option_of_a_script(photos, weights):
    with suppress(SystemExit):
        Parser('script').parse_args([f'--{FORGED}'])


SIZE = ('--num-heads', '2', '--img-size', '64')
PLACES = {
    'check': lambda p, w: main(['check', p]),
    'pretrain': lambda p, w: main(['pretrain', p, '--dry-run', '--out', 'run']),
    'embed': lambda p, w: main(
        ['embed', p, '--weights', w, '--out', 'a.npy', '--duplicates', *SIZE,
         '--nearest', f'{p}/1{FORGED}.png']
    ),
    'export': lambda p, w: main(
        ['export', w, '--to', 'timm', '--out', f'out{FORGED}.pth', *SIZE]
    ),
    'a key': lambda p, w: main(['export', 'key.pth', '--to', 'timm', *SIZE]),
    'a folder that is none': lambda p, w: main(['check', f'{p}/none']),
    'an option': lambda p, w: main(['check', p, f'--{FORGED}']),
    'check_images': lambda p, w: run_tool('check_images', [p]),
    'shrink_images': lambda p, w: run_tool('shrink_images', [p, f'small{FORGED}']),
    'report': lambda p, w: run_tool('report', [p]),
    'a stage that failed': failed_stage,
    'captions': captions,
    'the page of a transfer': page,
    'data in its table': lambda p, w: print(free_name(p, {})),
    'an option of a script': option_of_a_script,
}  # fmt: skip


@pytest.mark.parametrize('place', PLACES)
def test_names_are_shown_escaped(place, world, monkeypatch, capfd):
    monkeypatch.chdir(world)
    monkeypatch.setattr(sys, 'argv', ['ccmim'])
    before = set(world.rglob('*'))
    PLACES[place](FORGED, f'{FORGED}.pth')
    output = capfd.readouterr()
    text = output.out + output.err
    for file in set(world.rglob('*')) - before:
        if file.suffix in ('.txt', '.html', '.log', '.py'):
            text += file.read_text()
    assert r'\x1b[31merror: all' in text
    assert '\x1b' not in text
    assert not any(line.startswith('error: all') for line in text.splitlines())
