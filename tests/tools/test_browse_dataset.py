"""What is drawn is what training sees."""

import sys

import numpy as np
import pytest
from PIL import Image

from ccmim.data import SampleKey, UnlabeledImages


@pytest.fixture
def browse(request, monkeypatch):
    monkeypatch.syspath_prepend(request.config.rootpath / 'tools')
    import browse_dataset

    def browse(*words):
        monkeypatch.setattr(sys, 'argv', ['browse_dataset.py', *map(str, words)])
        browse_dataset.main()

    return browse


def test_views_of_pretraining(request, browse, image_folder, tmp_path):
    config = request.config.rootpath / 'mm_configs/small/mae_vitt.py'
    option = f'train_dataloader.dataset.data={image_folder}'
    browse(config, '-n', 2, '-o', tmp_path / 'seen', '--cfg-options', option)
    files = sorted((tmp_path / 'seen').iterdir())
    assert [f.name for f in files] == ['train_000000.png', 'train_000004.png']
    steps = [
        dict(type='ccmim.RandomResizedCrop', size=128, scale=(0.2, 1.0)),
        dict(type='ccmim.RandomHorizontalFlip'),
        dict(type='ccmim.ToUint8Tensor'),
    ]
    sample = UnlabeledImages(str(image_folder), steps, least_side=600)[
        SampleKey(0, 0, 4)
    ]
    drawn = np.asarray(Image.open(files[1]))
    assert np.array_equal(drawn, sample['inputs'].permute(1, 2, 0).numpy())


def test_no_such_data_is_one_line(request, browse, capsys):
    with pytest.raises(SystemExit) as end:
        browse(request.config.rootpath / 'mm_configs/small/mae_vitt.py', '-p', 'val')
    assert end.value.code == 2
    assert 'has no val_dataloader.dataset' in capsys.readouterr().err
