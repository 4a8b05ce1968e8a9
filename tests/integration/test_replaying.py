"""What is written down at a bad step is enough to compute it again."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.data import SampleKey
from ccmim.engine.launch import build_runner
from ccmim.engine.nonfinite.bad_step import replay_step
from ccmim.losses import PixelReconstruction
from ccmim.registry import MODELS


@MODELS.register_module(force=True)
class TouchyReconstruction(PixelReconstruction):
    """Infinite at the sixth call, and ever after for exactly that value."""

    calls, value = 0, None

    def forward(self, *args):
        loss = super().forward(*args)
        type(self).calls += 1
        if self.calls == 6:
            type(self).value = loss.item()
        return loss / 0 if loss.item() == self.value else loss


@pytest.fixture
def run(tiny_run):
    """Train two epochs of four steps; the second step of the second is bad."""
    TouchyReconstruction.calls = 0
    cfg = tiny_run('ccmim_vitb', 'run', {'train_cfg.max_epochs': 2})
    cfg.model.reconstruction.type = 'TouchyReconstruction'
    cfg.default_hooks.logger.interval = 4
    model = Config(dict(model=cfg.model)).model
    runner = build_runner(cfg)
    with pytest.raises(FloatingPointError) as caught:
        runner.train()
    return runner, model, str(caught.value)


def test_the_step_is_named_and_computed_again(run, tmp_path):
    """To the last bit: weights, pictures, masks and bf16 are those of the step."""
    runner, config, message = run
    file = tmp_path / 'run' / 'debug' / 'nan_6.pt'
    saved = torch.load(file, weights_only=True)
    assert (saved['step'], saved['epoch'], saved['dtype']) == (6, 1, 'bfloat16')
    dataset = runner.train_dataloader.dataset
    numbers = saved['batch']['data_samples'].tolist()
    for picture, number in zip(saved['batch']['inputs'], numbers, strict=True):
        sample = dataset[SampleKey(runner.seed, 1, number)]
        assert torch.equal(picture, sample['inputs'])
    first, second = saved['images']
    assert message.startswith(
        f'loss_reconstruction is not finite at step 6 (images {first}, {second}); '
        f'what it was computed from is in {file}. The weights are those before it. '
    )
    assert [name.endswith('.jpg') for name in saved['images']] == [True, True]

    DefaultScope.get_instance('replay', scope_name='ccmim')
    losses = replay_step(MODELS.build(config), file)
    assert losses['loss_reconstruction'] == torch.inf
    assert losses['loss_contrast'].item() == saved['terms']['loss_contrast']
    assert saved['terms']['grad_norm'] != saved['terms']['grad_norm']  # NaN

    saved['seed'] += 1  # the control: with other masks it is another step
    torch.save(saved, file)
    assert replay_step(MODELS.build(config), file)['loss_reconstruction'] < 2


def test_without_weights_there_is_no_replay(run, tmp_path):
    _, config, _ = run
    file = tmp_path / 'run' / 'debug' / 'nan_6.pt'
    saved = torch.load(file, weights_only=True)
    saved.pop('state_dict')
    torch.save(saved, file)
    with pytest.raises(ValueError, match='no images or weights. Resume from the'):
        replay_step(None, file)
