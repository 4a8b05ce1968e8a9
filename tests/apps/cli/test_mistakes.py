"""Every mistake is a line that says what and one that says how to mend it."""

import logging
import os
import re
import sys

import pytest

from ccmim import __version__
from ccmim.apps.cli.main import main
from ccmim.apps.cli.mistakes import report
from ccmim.apps.cli.parsers import make_parser
from ccmim.engine.settings.space import stop_at_full_disk

COMMANDS = ('demo', 'pretrain', 'transfer', 'leaf', 'knn', 'predict', 'export')
COMMANDS += ('check', 'doctor', 'report', 'embed', 'judge')


# The words, what is wrong with them, and how it is mended.
MISTAKES = """
pretrian | 'pretrian' is unknown | did you mean pretrain?
pretrain | required: DATA | ccmim pretrain --help
pretrain x --method maee | maee | did you mean mae?
pretrain x --epochs 0 | at least 1 | ccmim pretrain --help
pretrain x --epoch few | 'few' must be a whole number | help
pretrain nowhere | No such folder | give a folder of photos
pretrain nowhere --resume | no run to resume | leave out
pretrain photos --image-size 100 | multiple of 16 | help
pretrain photos --image-size 16 | and at least 32 | help
pretrain photos --cfg-options lr | form KEY=VALUE | help
pretrain photos --cfg-options model.arch=dict(a=1,b=2) | 'dict(a=1,b=2)' cannot b | help
pretrain photos --cfg-options train_cfg.max_epoch=3 | did you mean train_cfg.max_ | help
pretrain photos --out file/x | cannot write | with --out
pretrain nowhere --method maskdistill | --method maskdistill and --tea | --teacher timm:
leaf empty --backbone x.pth | x.pth does not exist | help
knn x.pth --data empty | holds no labels | help
predict x.pth photos | x.pth does not exist | help
predict x.pth photos --score 3 | out of range | give 0 to 1
pretrain empty | No images in | give a folder of photos
pretrain cut.jpg | 0 of 1 images | hundreds are wanted
transfer x.pth | required: --data | ccmim transfer --help
transfer x.pth --data photos | x.pth does not exist | help
export x.pth --to tim | 'tim' is unknown | did you mean timm?
export x.pth --to timm | x.pth does not exist | help
export file --to timm --size 2 2 | --size | leave it
check nowhere | No such folder | ccmim check --help
check photos/part0 --picture x.png | there are none | leave it out
check a.py | a.py does not exist | ccmim check --help
check photos --out no/x | cannot write to no | check --help
check a.py photos | checked alone | ccmim check a.py
demo --images nowhere | no photos nowhere | --images
report nowhere | nowhere | ccmim report --help
"""


@pytest.mark.parametrize('row', MISTAKES.strip().splitlines())
def test_two_lines_and_code_2(ccmim, row, image_folder, tmp_path, monkeypatch):
    words, what, how = row.split(' | ')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    for name in ('file', 'cut.jpg'):
        (tmp_path / name).touch()
    code, _, said = ccmim(*words.split())
    assert code == 2
    error, remedy = said.strip().splitlines()[-2:]
    assert error.startswith('error: ')
    assert what in error
    assert remedy.startswith('  -> ')
    assert how in remedy
    assert 'Traceback' not in said
    assert not (tmp_path / 'x_transfer').exists()


def test_debug_shows_the_traceback(ccmim, tmp_path):
    code, _, said = ccmim('check', tmp_path / 'nowhere', '--debug')
    assert code == 2
    assert 'Traceback' in said
    assert 'error: No such folder' in said


@pytest.mark.parametrize('command', COMMANDS)
def test_help_has_an_example(ccmim, command):
    code, said, _ = ccmim(command, '--help')
    assert code == 0
    examples = said.partition('example')[2]
    assert re.search(rf'^  ccmim {command}\b', examples, re.M)


def test_examples_can_be_parsed():
    """Each line of an example is a command line that exists."""
    parser = make_parser()
    lines = re.findall(r'^  ccmim (.*)$', _all_help(parser), re.M)
    assert len(lines) > len(COMMANDS)
    for line in lines:
        parser.parse_args(re.split('  +| > ', line)[0].split())


def _all_help(parser):
    commands = parser._subparsers._group_actions[0].choices
    assert set(commands) == set(COMMANDS)
    texts = [command.description for command in commands.values()]
    return '\n'.join([parser.description, *texts])


def test_version_and_no_words(ccmim):
    assert ccmim('--version')[1].strip() == f'ccmim {__version__}'
    code, said, _ = ccmim()
    assert code == 0
    assert all(f'\n    {command} ' in said for command in COMMANDS)


@pytest.mark.parametrize(
    ('module', 'how'),
    [
        ('sklearn_like', 'pip install sklearn_like'),
        ('mmdet', 'in a checkout: bash tools/install.sh'),
        ('mmcv.ops', 'in a checkout: bash tools/install.sh'),
    ],
)
def test_a_missing_library_is_named_with_how_to_get_it(capsys, module, how):
    assert report(ModuleNotFoundError(f'No module named {module!r}', name=module)) == 2
    what, remedy = capsys.readouterr().err.splitlines()
    assert what == f'error: {module} is not installed'
    assert remedy.startswith(f'  -> {how}')


@pytest.mark.parametrize('is_log', [False, True])
def test_what_nobody_reads_on_is_left_out(image_folder, monkeypatch, capsys, is_log):
    """As of ``ccmim check photos | head -1``; a run goes on."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, 'w') as stream:
        if is_log:
            stop_at_full_disk()
            handler = logging.StreamHandler(stream)
            handler.handle(logging.makeLogRecord(dict(msg='one')))
        else:
            monkeypatch.setattr(sys, 'stdout', stream)
            assert main(['check', str(image_folder)]) == 141
    assert capsys.readouterr().err == ''
