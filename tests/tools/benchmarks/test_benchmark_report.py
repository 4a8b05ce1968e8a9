"""The table, the CSV and the JSON hold the same figures."""

import csv
import json

from benchmarks.report import format_table, write_files
from benchmarks.rows import Label
from benchmarks.summary import summarize
from benchmarks.timing import Round


def _rows():
    fast = Label('step', 's', 8, 'ours', 'ccmim', 'bf16')
    slow = fast._replace(code='published', precision='fp32')
    one, two = [Round(0.5, 0.5, None)], [Round(2.0, 2.0, None)]
    return [summarize(fast, one, two, 4), summarize(slow, two, two, 4)]


def test_table():
    assert format_table(_rows()).splitlines() == [
        'level  ViT    batch  code       method  precision  img/s  ms/step  IQR %  '
        'times   IQR  by CPU',
        'step   ViT-S      8  ours       ccmim   bf16        64.0    125.0    0.0  '
        ' 4.00  0.00    4.00',
        'step   ViT-S      8  published  ccmim   fp32        16.0    500.0    0.0  '
        ' 1.00  0.00    1.00',
    ]


def test_row_out_of_memory_stays_in_the_table():
    rows = _rows()
    rows.append(summarize(Label('step', 's', 99, 'ours', 'mae', 'fp32'), [], [], 4))
    assert format_table(rows).splitlines()[-1].split() == [
        *('step', 'ViT-S', '99', 'ours', 'mae', 'fp32'),
        *('-',) * 6,
    ]


def test_files_hold_what_the_table_shows(tmp_path):
    rows = _rows()
    write_files(tmp_path / 'new', rows, [[0.5], [2.0]], dict(device='abacus'))
    with (tmp_path / 'new' / 'benchmark.csv').open() as file:
        lines = list(csv.DictReader(file))
    assert [line['images_per_s'] for line in lines] == ['64.0', '16.0']
    assert [line['ratio'] for line in lines] == ['4.0', '1.0']
    assert lines[0]['method'] == 'ccmim'
    assert lines[0]['peak_mb'] == ''
    content = json.loads((tmp_path / 'new' / 'benchmark.json').read_text())
    assert content['device'] == 'abacus'
    assert content['rows'][0] == dict(rows[0], seconds_of_rounds=[0.5])
    assert content['rows'][1]['seconds_of_rounds'] == [2.0]
