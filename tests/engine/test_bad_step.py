"""A saved step is computed again with all that it depends on, whatever the method."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope

from ccmim.engine.launch import build_runner
from ccmim.engine.nonfinite.bad_step import images_of, replay_step, save_step
from ccmim.registry import MODELS
from tests.short_runs import short_config


class Recorder(Hook):
    """Save a step before it is taken, and note what it then gives."""

    step = 6

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.step - 1:
            images = images_of(data_batch)
            self.file = save_step(runner, self.step, images, {}, with_weights=True)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.step - 1:
            self.losses = {k: v.item() for k, v in outputs.items() if 'loss_' in k}


@pytest.mark.parametrize(
    ('leaf', 'changes'),
    [
        ('small/amt_mae_vitt', {'model.sampler.begin': 1}),
        pytest.param(
            'small/hpm_vitt', {'model.sampler.by_epoch': True}, marks=pytest.mark.slow
        ),
        ('classification/finetune_vitb_imagenet', {'model.head.num_classes': 2}),
    ],
)
def test_losses_are_those_of_the_step(image_folder, tmp_path, leaf, changes):
    changes = {
        'model.backbone.drop_path_rate': 0.2,
        'train_cfg.max_epochs': 2,
        'optim_wrapper.dtype': 'float32',
        **changes,
    }
    cfg = short_config(leaf, tmp_path / 'run', image_folder, changes)
    for stage in ('val', 'test'):
        cfg.update({f'{stage}_{k}': None for k in ('dataloader', 'evaluator', 'cfg')})
    for hook in cfg.custom_hooks:
        if 'ScoreRefresh' in hook.type:
            hook.update(begin=1, interval=2)
    cfg.param_scheduler = []
    model = Config(dict(model=cfg.model)).model
    runner, recorder = build_runner(cfg), Recorder()
    runner.register_hook(recorder, 'LOW')
    runner.train()

    type(runner.message_hub)._instance_dict.clear()  # as in a new process
    DefaultScope.get_instance('replay', scope_name='ccmim')
    losses = replay_step(MODELS.build(model), recorder.file)
    assert recorder.losses
    assert {k: losses[k].item() for k in recorder.losses} == recorder.losses
    saved = torch.load(recorder.file, weights_only=True)
    saved['seed'] += 1  # the control: other random numbers, another step
    torch.save(saved, recorder.file)
    others = replay_step(MODELS.build(model), recorder.file)
    assert any(others[k].item() != v for k, v in recorder.losses.items())
