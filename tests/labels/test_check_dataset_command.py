"""The command: exit codes, lines and a sheet; unlabeled images; wrong input."""

from functools import partial

import pytest
from mmengine.config import Config
from PIL import Image

from ccmim.engine.settings import check_config
from ccmim.labels import write_sheet
from ccmim.labels.report import Picture, Report


def unlabeled(folder):
    dataset = dict(type='UnlabeledImages', data=str(folder), transform=[])
    return Config(dict(default_scope='ccmim', train_dataloader=dict(dataset=dataset)))


def test_unlabelled_images_are_counted_and_some_decoded(image_folder):
    (report,) = check_config(unlabeled(image_folder), num_pictures=3)
    assert report.images == 8
    assert report.problems == []
    assert len(report.pictures) == 3
    assert report.pictures[0].draw().size == (96, 80)


def test_an_unlabelled_image_that_is_none_is_named(image_folder):
    (image_folder / 'part0' / '0.jpg').write_bytes(b'none')
    (report,) = check_config(unlabeled(image_folder))
    (problem,) = report.problems
    assert problem.startswith('images that cannot be used: 1 (')
    assert '0.jpg' in problem


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match='no data for val'):
        check_config(Config(dict(train_dataloader=dict())), ['val'])
    loader = dict(dataset=dict(type='Unheard'))
    with pytest.raises(ValueError, match='Unheard cannot be checked'):
        check_config(Config(dict(train_dataloader=loader)))


def test_long_lists_are_cut():
    report = Report('train')
    report.problem('bad', list('abcdef'))
    report.problem('fine', [])
    assert report.problems == ['bad: 6 (a, b, c, d, ...)']


def test_a_sheet_holds_all_pictures_and_a_legend(tmp_path):
    def broken():
        raise OSError

    red = Picture('red', lambda: Image.new('RGB', (100, 50), 'red'))
    pictures = [red] * 4 + [Picture('broken', broken)]
    write_sheet(pictures, tmp_path / 'sheet.png', dict(soil=(0, 0, 255)))
    with Image.open(tmp_path / 'sheet.png') as sheet:
        assert sheet.width == 4 * 320
        reds = sheet.convert('RGB').getpixel((1000, 20))
        assert reds == (255, 0, 0)
        colors = {color for _, color in sheet.getcolors(1 << 20)}
        assert {(128, 128, 128), (0, 0, 255)} <= colors


def test_the_command_tells_good_bad_and_wrong_apart(run_tool, image_folder, tmp_path):
    """AMT and stored scores know where in a picture a crop lies: checked as others."""
    run = partial(run_tool, 'check_dataset.py')
    sheet, config = tmp_path / 'sheet.png', tmp_path / 'config.py'
    for kind, crop in (
        ('ImagesWithCropBox', "dict(type='RandomCropWithBox', size=32)"),
        ('UnlabeledImages', ''),
    ):
        config.write_text(
            "default_scope = 'ccmim'\n"
            "custom_imports = dict(imports=['ccmim.data'])\n"
            f"data = dict(type='{kind}', transform=[{crop}], data='{image_folder}')\n"
            'train_dataloader = dict(dataset=data)\n'
        )
        code, said, _ = run(config, '--out', sheet, '--num', 2)
        assert code == 0
        assert f'train ({kind}): 8 images' in said
        assert said.endswith('problems found: none\n')
    assert sheet.exists()
    option = f'train_dataloader.dataset.data={tmp_path}/none'
    code, said, _ = run(config, '--split', 'train', '--cfg-options', option)
    assert code == 1
    assert f'PROBLEM: No such folder, list file or tar: {tmp_path}/none' in said
    assert said.endswith('problems found: 1\n')
