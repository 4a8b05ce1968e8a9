"""The full-size pretraining configs, cut down to a network that trains in seconds."""

import pytest
from mmengine.config import Config


@pytest.fixture
def tiny_run(request, image_folder, tmp_path):
    """Make a config by name, on eight photos, writing to a folder of ``tmp_path``.

    Further changes are by dotted key.
    """

    def make(name, folder, changes=None):
        path = request.config.rootpath / f'mm_configs/pretrain/{name}.py'
        cfg = Config.fromfile(path)
        tiny = dict(embed_dim=32, depth=2, num_heads=2)
        cfg.model.backbone.update(arch=tiny, img_size=64)
        if 'contrast' in cfg.model:
            cfg.model.contrast.in_dim = 32
        cfg.merge_from_dict(
            {
                'work_dir': str(tmp_path / folder),
                'experiment_name': folder,  # two runs may begin in the same second
                'model.decoder': dict(
                    in_dim=32, embed_dim=16, depth=1, num_heads=2, img_size=64
                ),
                'train_dataloader.batch_size': 2,
                'train_dataloader.num_workers': 0,
                'train_dataloader.persistent_workers': False,
                'train_dataloader.pin_memory': False,
                'train_dataloader.dataset.data': str(image_folder),
                'train_dataloader.dataset.transform.0.size': 64,
                'optim_wrapper.accumulative_counts': 1,
                'default_hooks.checkpoint.interval': 1,
                'default_hooks.logger.interval': 1,
                **(changes or {}),
            }
        )
        return cfg

    return make
