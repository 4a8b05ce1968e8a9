"""A pretraining that takes a second, as a config file of its own."""

import pytest

CONFIG = """
_base_ = '{base}'
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dim=32, depth=2, num_heads=2), img_size=64
    ),
    decoder=dict(in_dim=32, embed_dim=16, depth=1, num_heads=2, img_size=64),
    contrast=dict(in_dim=32),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    dataset=dict(data='{data}'),
)
_base_.train_dataloader.dataset.transform[0].size = 64
train_cfg = dict(max_epochs=1)
optim_wrapper = dict(accumulative_counts=2)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=1))
"""


@pytest.fixture
def config_file(request, image_folder, tmp_path):
    """A tiny ccMIM on eight photos: one epoch of two steps."""
    base = request.config.rootpath / 'mm_configs/pretrain/ccmim_vitb.py'
    path = tmp_path / 'tiny.py'
    path.write_text(CONFIG.format(base=base, data=image_folder))
    return path


@pytest.fixture
def tool(run_tool):
    """Run a script of tools/ in this process; its exit code and last line of errors."""

    def tool(name, *words):
        code, _, errors = run_tool(name, *words)
        assert 'Traceback' not in errors
        return code, (errors.splitlines() or [''])[-1]

    return tool
