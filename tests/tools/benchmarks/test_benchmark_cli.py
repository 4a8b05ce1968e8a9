"""The command prints a table, writes the files and refuses what cannot be."""

import csv
import json

import pytest

TOOL = 'benchmark.py'  # of the fixture `command`
TINY = [
    *('--methods', 'ccmim', '--sizes', 's', '--batch-sizes', '2', '--steps', '1'),
    *('--rounds', '2', '--warmup', '1', '--cfg-options'),
    *('model.backbone.arch=tiny', 'model.backbone.img_size=32'),
    *('model.decoder.in_dim=192', 'model.decoder.img_size=32'),
    *('model.decoder.depth=1', 'model.contrast.in_dim=192'),
    'train_dataloader.dataset.transform.0.size=32',
]


@pytest.mark.slow
def test_table_and_files(command, tmp_path, capsys, image_folder):
    assert (
        command(
            *('--precisions', 'fp32', '--options', 'score3', '--aa', '--workers', 0),
            *('--levels', 'step', 'trainer', 'files', '--images', image_folder),
            *('--peers', tmp_path, '--out', tmp_path / 'out', *TINY),
        )
        == 0
    )
    printed = capsys.readouterr().out
    assert f'ccMIM: not in {tmp_path}, left out' in printed
    for fact in ('date: ', 'device: ', 'threads: ', 'torch: '):
        assert fact in printed
    with (tmp_path / 'out' / 'benchmark.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [(row['level'], row['code'], row['method']) for row in rows] == [
        ('step', 'ours', 'ccmim'),
        ('step', 'ours', 'ccmim score3'),
        ('step', 'ours A/A', 'ccmim'),
        ('trainer', 'ours', 'ccmim'),
        ('trainer', 'ours', 'ccmim score3'),
        ('trainer', 'ours A/A', 'ccmim'),
        ('files', 'ours', 'ccmim'),
        ('files', 'ours', 'ccmim score3'),
        ('files', 'ours', 'loader'),
    ]
    begun = printed.index('rounds of 9 rows')  # before the first row
    assert begun < printed.index('round 1 of 2: step s 2 ours ccmim fp32: ')
    table = printed[printed.index('level ') :].splitlines()
    for line, row in zip(table[1:], rows, strict=False):
        rate = float(row['images_per_s'])
        assert f' {rate:.{0 if rate >= 1000 else 1}f} ' in line
    assert [float(row['ratio']) for row in rows[::3]] == [1, 1, 1]
    assert float(rows[0]['saved_mb_per_image']) > 0
    assert rows[0]['peak_percent'] == ''  # this shape is not in the table
    content = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())
    assert [len(row['seconds_of_rounds']) for row in content['rows']] == [2] * 9


def test_code_that_computes_something_else_is_not_timed(
    command, tmp_path, capsys, monkeypatch
):
    from benchmarks import run

    (tmp_path / 'ccMIM').mkdir()
    monkeypatch.setattr(run, 'import_code', lambda peer, folder: None)
    monkeypatch.setattr(run, 'check', lambda code: (False, 'ccMIM: DOES NOT'))
    assert command('--precisions', 'fp32', '--peers', tmp_path, *TINY) == 1
    printed = capsys.readouterr().out
    assert 'ccMIM: DOES NOT' in printed
    assert 'published  ' not in printed
