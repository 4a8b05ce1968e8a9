"""A real Runner pretrains on real files, stops, resumes and transfers its weights."""

import pytest
import torch
from mmengine.config import Config

from ccmim.checkpoints import load_file
from ccmim.training.launch import build_runner

CONFIG = 'mm_configs/pretrain/{}.py'


def _config(request, name, folder, work_dir, epochs=2):
    """The full-size config, cut down to the tiny network on a folder of photos."""
    cfg = Config.fromfile(request.config.rootpath / CONFIG.format(name))
    tiny = dict(embed_dim=32, depth=2, num_heads=2)
    cfg.model.backbone.update(arch=tiny, img_size=64)
    changes = {
        'work_dir': str(work_dir),
        'model.decoder': dict(
            in_dim=32, embed_dim=16, depth=1, num_heads=2, img_size=64
        ),
        'train_dataloader.batch_size': 4,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_dataloader.pin_memory': False,
        'train_dataloader.dataset.data': str(folder),
        'train_dataloader.dataset.transform.0.size': 64,
        'train_cfg.max_epochs': epochs,
        'optim_wrapper.accumulative_counts': 1,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.logger.interval': 1,
    }
    if cfg.model.type == 'CCMIM':
        changes['model.contrast.in_dim'] = 32
    cfg.merge_from_dict(changes)
    return cfg


def _record(runner):
    """Collect the loss of each step."""
    losses = []
    train_step = runner.model.train_step

    def recorded(*args, **kwargs):
        logged = train_step(*args, **kwargs)
        losses.append({k: v.item() for k, v in logged.items()})
        return logged

    runner.model.train_step = recorded
    return losses


@pytest.mark.parametrize('name', ['ccmim_vitb', 'mae_vitb'])
def test_resumed_run_equals_straight_run(request, image_folder, tmp_path, name):
    """Losses, masks and weights bit for bit: nothing random is a state."""
    cfg = _config(request, name, image_folder, tmp_path / 'straight', epochs=3)
    runner = build_runner(cfg)
    straight = _record(runner)
    runner.train()
    assert len(straight) == 6

    cfg = _config(request, name, image_folder, tmp_path / 'resumed', epochs=3)
    cfg.load_from = str(tmp_path / 'straight' / 'epoch_1.pth')
    cfg.resume = True
    torch.manual_seed(99)
    resumed_runner = build_runner(cfg)
    resumed = _record(resumed_runner)
    resumed_runner.train()
    assert resumed == straight[2:]
    ours, theirs = (r.model.state_dict() for r in (resumed_runner, runner))
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_without_step_seeds_resume_differs(request, image_folder, tmp_path):
    """The control of the test above: it can fail."""
    changes = {'custom_hooks': [], 'default_hooks.checkpoint.interval': 1}
    cfg = _config(request, 'ccmim_vitb', image_folder, tmp_path / 'a', epochs=2)
    cfg.merge_from_dict(changes)
    runner = build_runner(cfg)
    straight = _record(runner)
    runner.train()
    cfg = _config(request, 'ccmim_vitb', image_folder, tmp_path / 'b', epochs=2)
    cfg.merge_from_dict(changes)
    cfg.load_from, cfg.resume = str(tmp_path / 'a' / 'epoch_1.pth'), True
    resumed_runner = build_runner(cfg)
    resumed = _record(resumed_runner)
    resumed_runner.train()
    assert resumed != straight[2:]


def test_number_of_workers_does_not_matter(request, image_folder, tmp_path):
    histories = []
    for workers in (0, 2):
        cfg = _config(request, 'ccmim_vitb', image_folder, tmp_path / str(workers), 1)
        cfg.train_dataloader.num_workers = workers
        runner = build_runner(cfg)
        histories.append(_record(runner))
        runner.train()
    assert histories[0] == histories[1]


def test_checkpoint_serves_downstream_unchanged(
    request, image_folder, tmp_path, tiny_vit
):
    """Zero missing and unexpected keys, and the same features."""
    cfg = _config(request, 'ccmim_vitb', image_folder, tmp_path, epochs=1)
    runner = build_runner(cfg)
    runner.train()
    file = tmp_path / 'epoch_1.pth'
    vit = tiny_vit(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    vit.init_weights()
    trained = {
        k.removeprefix('backbone.'): v
        for k, v in load_file(file)['state_dict'].items()
        if k.startswith('backbone.')
    }
    assert trained.keys() == vit.state_dict().keys()
    images = torch.randn(2, 3, 64, 64)
    backbone = runner.model.backbone.eval()
    torch.testing.assert_close(
        vit.eval()(images)[0], backbone(images)[0], atol=1e-6, rtol=0
    )
