"""From photos and few labels to something to use and to send, command by command."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccmim.engine.version import this_version
from tests.apps.cli.conftest import photo

FEW = ['--epochs', '1', '--batch-size', '4', '--image-size', '32']


@pytest.mark.slow
def test_photos_and_few_labels_become_features_predictions_exports_and_a_page(
    ccmim, image_folder, class_folders, tmp_path, monkeypatch
):
    runtime = pytest.importorskip('onnxruntime')
    transformers = pytest.importorskip('transformers')
    monkeypatch.chdir(tmp_path)
    options = ['--cfg-options', 'train_dataloader.num_workers=0',
               'train_dataloader.persistent_workers=False']  # fmt: skip

    def command(*words):
        code, said, error = ccmim(*words)
        assert code == 0, error
        return said

    said = command('pretrain', image_folder, '--out', 'run', *FEW, *options)
    assert 'Method       mae, the default: in our study' in said
    assert '8 photos are few' in said
    assert said.index('Advice') < said.index('Estimate')

    command('embed', image_folder, '--weights', 'run/epoch_1.pth', '--out', 'x.csv')
    rows = list(csv.reader(Path('x.csv').read_text().splitlines()))
    assert (len(rows), len(rows[1])) == (9, 193)

    labels = class_folders.rename(tmp_path / 'labeled')
    transfer = ['transfer', 'run/epoch_1.pth', '--data', labels, '--jobs', '1']
    said = command(*transfer)
    out = Path('run/epoch_1_transfer')
    kept = out / 'probes/labeled/linear.pth'
    found = json.loads((out / 'probes/labeled/accuracies.json').read_text())
    table = (out / 'table.md').read_text()
    assert '|  | labeled: k-NN | labeled: linear |' in table
    assert f'| checkpoint | {found["checkpoint"]["k=16"]:.1f} |' in table
    assert {*found} == {'random', 'checkpoint'}
    assert 'labeled: 20 test images: one is 5 points.' in table, 'in five folds'
    assert table in said
    assert f'  ccmim predict {kept} labeled --out predictions' in said
    assert f'  ccmim export {kept} --to onnx --whole' in said
    page = (out / 'report.html').read_text()
    for text in ('What was done', 'million parameters', 'for what, by linear'):
        assert text in page
    assert f'>{this_version()}<' in page, 'by the log of the probe'
    assert page.count('<img ') >= 2, 'confusions, and photos with what was said of them'
    assert 'done before' in command(*transfer)

    photo(tmp_path / 'new' / 'one.jpg', 99)
    command('predict', kept, 'new', '--out', 'seen')
    head, row = csv.reader(Path('seen/predictions.csv').read_text().splitlines())
    assert head == ['name', 'class', 'probability', 'big cat', 'dog']
    name, found, sure, *shares = row
    assert name == str(tmp_path / 'new/one.jpg')
    assert found in ('big cat', 'dog')
    assert float(sure) == max(map(float, shares))
    assert Image.open('seen/pictures/one.png').width >= 448
    command('predict', kept, labels / 'dog', '--out', 'learned')
    rows = csv.reader(Path('learned/predictions.csv').read_text().splitlines()[1:])
    assert [row[1] for row in rows] == ['dog'] * 10, 'which it has learned'

    command('export', kept, '--to', 'onnx', '--whole', '--out', 'whole.onnx')
    session = runtime.InferenceSession('whole.onnx')
    pixels = np.asarray(Image.open('new/one.jpg').resize((32, 32)), np.float32)
    (given,) = session.run(None, {'images': pixels.transpose(2, 0, 1)[None]})
    assert given.shape == (1, 2)
    assert given.sum() == pytest.approx(1, abs=1e-5)
    known = session.get_modelmeta().custom_metadata_map
    assert known['ccmim.classes'] == 'big cat\ndog'

    command('export', 'run/epoch_1.pth', '--to', 'hf', '--out', 'hub')
    look = transformers.pipeline('image-feature-extraction', model='hub', device='cpu')
    assert np.shape(look('new/one.jpg')) == (1, 1 + 4, 192)
