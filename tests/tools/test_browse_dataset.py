"""What is drawn is what training sees."""

import numpy as np
from PIL import Image

from ccmim.data import SampleKey, UnlabeledImages


def test_views_of_pretraining(request, run_tool, image_folder, tmp_path):
    config = request.config.rootpath / 'mm_configs/small/mae_vitt.py'
    option = f'train_dataloader.dataset.data={image_folder}'
    words = ['-n', 2, '-o', tmp_path / 'seen', '--cfg-options', option]
    assert run_tool('browse_dataset.py', config, *words)[0] == 0
    files = sorted((tmp_path / 'seen').iterdir())
    assert [f.name for f in files] == ['train_000000.png', 'train_000004.png']
    steps = [
        dict(type='ccmim.RandomResizedCrop', size=128, scale=(0.2, 1.0)),
        dict(type='ccmim.RandomHorizontalFlip'),
        dict(type='ccmim.ToUint8Tensor'),
    ]
    data = UnlabeledImages(str(image_folder), steps, least_side=600)
    drawn = np.asarray(Image.open(files[1]))
    sample = data[SampleKey(0, 0, 4)]
    assert np.array_equal(drawn, sample['inputs'].permute(1, 2, 0).numpy())
