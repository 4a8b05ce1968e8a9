"""The configs train, are tested and go on exactly through the commands."""

import os
import re

import pytest
import torch
from mmengine.config import Config

from ccmim.engine.launch import build_runner
from tests.processes import run

TINY = {
    'model.backbone.img_size': 64,
    'model.head.in_dim': 32,
    'model.head.num_classes': 3,
    'train_dataloader.batch_size': 6,
    'val_dataloader.batch_size': 4,
    'train_dataloader.dataset.transform.0.size': 64,
    'val_dataloader.dataset.transform.0.size': 64,
    'train_cfg.max_epochs': 3,
    'train_cfg.val_interval': 3,
    'param_scheduler.0.end': 1 / 3,
    'param_scheduler.1.begin': 1 / 3,
    'optim_wrapper.dtype': 'float32',
    'optim_wrapper.accumulative_counts': 1,
    'default_hooks.logger.interval': 1,
}
LOADER = dict(num_workers=0, persistent_workers=False, pin_memory=False)


@pytest.fixture
def folders(paint, tmp_path):
    """Ten pictures of each color to train, five to validate."""
    root = tmp_path / 'data'
    return dict(train=paint(root / 'train', 10), val=paint(root / 'val', 5))


@pytest.fixture
def options(folders, tmp_path):
    """Make the changes that cut a full-size config down, for a run by name."""

    def options(name, **changes):
        found = {**TINY, 'work_dir': str(tmp_path / name)}
        found['test_dataloader.batch_size'] = 4
        for loader, data in (('train', 'train'), ('val', 'val'), ('test', 'val')):
            for key, value in LOADER.items():
                found[f'{loader}_dataloader.{key}'] = value
            found[f'{loader}_dataloader.dataset.data'] = str(folders[data])
        found['test_dataloader.dataset.transform.0.size'] = 64
        return {**found, **{k.replace('__', '.'): v for k, v in changes.items()}}

    return options


@pytest.fixture
def start(request, options):
    """Build a tiny run of a full-size config."""

    def start(config, name, **changes):
        folder = request.config.rootpath / 'mm_configs' / 'classification'
        cfg = Config.fromfile(folder / f'{config}_vitb_imagenet.py')
        cfg.model.backbone.arch = dict(embed_dim=32, depth=2, num_heads=2)
        cfg.merge_from_dict(options(name, **changes))
        cfg.experiment_name = f'{name}_{os.urandom(4).hex()}'
        return build_runner(cfg)

    return start


def _losses(runner):
    return runner.message_hub.get_scalar('train/loss').data[0].tolist()


@pytest.mark.slow
def test_fine_tuning_learns_the_colors(start):
    """Mixup, cutmix, erasing and RandAugment on; the validation is clean."""
    runner = start(
        'finetune', 'run', train_cfg__max_epochs=20, train_cfg__val_interval=20,
        optim_wrapper__optimizer__lr=0.01,
    )  # fmt: skip
    runner.train()
    losses = _losses(runner)
    assert len(losses) == 100
    assert sum(losses[-20:]) < 0.9 * sum(losses[:20])
    assert runner.message_hub.get_scalar('val/accuracy/top1').current() > 90


@pytest.mark.parametrize('config', ['finetune', 'linear'])
@pytest.mark.slow
def test_a_run_goes_on_bit_for_bit(start, config, tmp_path):
    """From the middle of an epoch: weights, running statistics, losses."""
    changes = dict(default_hooks__checkpoint__by_epoch=False)
    changes['default_hooks__checkpoint__max_keep_ckpts'] = -1
    straight = start(config, 'straight', **changes)
    straight.train()
    file = str(tmp_path / 'straight' / 'iter_7.pth')
    torch.manual_seed(99)
    resumed = start(config, 'resumed', resume=True, load_from=file, **changes)
    resumed.train()
    assert _losses(resumed) == _losses(straight)
    assert len(_losses(straight)) == 15
    state = resumed.model.state_dict()
    for name, value in straight.model.state_dict().items():
        assert torch.equal(state[name], value), name
    first = torch.load(file, weights_only=False)['state_dict']
    moved = {k for k, v in first.items() if not torch.equal(v, state[k])}
    frozen = {name for name in state if name.startswith('backbone.')}
    assert bool(moved & frozen) == (config == 'finetune')
    assert 'head.fc.weight' in moved


def test_a_pretraining_checkpoint_goes_in_strictly(
    tiny_mae, tiny_classifier, tmp_path, caplog
):
    source = tiny_mae()
    torch.save(dict(state_dict=source.state_dict()), tmp_path / 'epoch_1.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'epoch_1.pth'))
    model = tiny_classifier(backbone=dict(init_cfg=init))
    model.init_weights()
    theirs = source.backbone.state_dict()
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, theirs[name]), name
    state = source.state_dict()
    del state['backbone.blocks.1.mlp.fc1.bias']
    torch.save(dict(state_dict=state), tmp_path / 'epoch_1.pth')
    with pytest.raises(ValueError, match=r'1 missing \(blocks.1.mlp.fc1.bias\)'):
        tiny_classifier(backbone=dict(init_cfg=init)).init_weights()


def test_a_class_that_is_missing_on_one_side_stops_the_run(start, folders):
    for image in (folders['val'] / 'green').iterdir():
        image.unlink()
    (folders['val'] / 'green').rmdir()
    with pytest.raises(ValueError, match="different classes, such as 'green'"):
        start('finetune', 'run').train()


def test_a_head_of_another_number_of_classes_stops_the_run(start):
    runner = start('finetune', 'run', model__head__num_classes=4)
    with pytest.raises(ValueError, match='3 classes, the head tells 4 apart'):
        runner.train()


def test_a_step_that_is_no_number_is_named_with_its_pictures(start):
    runner = start('linear', 'run')
    torch.nn.init.constant_(runner.model.head.fc.weight, torch.nan)
    with pytest.raises(FloatingPointError, match=r'at step 1 \(images .*_\d.png'):
        runner.train()


def _words(script, config, *words, **options):
    changes = {**options, 'model.backbone.arch': 'tiny', 'model.head.in_dim': 192}
    return [
        f'tools/{script}', f'mm_configs/classification/{config}_vitb_imagenet.py',
        *map(str, words), '--cfg-options', *(f'{k}={v}' for k, v in changes.items()),
    ]  # fmt: skip


def test_the_commands_train_and_print_top_1_and_top_5(
    request, monkeypatch, run_tool, options, tmp_path
):
    monkeypatch.chdir(request.config.rootpath)
    given = options('run', train_cfg__max_epochs=1, train_cfg__val_interval=1)
    given.pop('work_dir')
    for script, *words in (
        ('train.py', '--work-dir', tmp_path / 'run'),
        ('test.py', tmp_path / 'run/epoch_1.pth', '--work-dir', tmp_path / 'test'),
    ):
        code, text, _ = run_tool(script, *_words(script, 'linear', *words, **given)[1:])
        assert code == 0
    top1 = re.search(r'^accuracy/top1 +(\S+)$', text, re.MULTILINE)
    assert 0 <= float(top1[1]) <= 100
    assert re.search(r'^accuracy/top5 +100$', text, re.MULTILINE)  # three classes


@pytest.mark.dist
@pytest.mark.slow
@pytest.mark.parametrize('config', ['finetune', 'linear'])
def test_two_processes_train_and_validate(options, tmp_path, config):
    """15 images to validate: each process gets 8, one of them twice."""
    given = options('run', train_dataloader__batch_size=4, train_cfg__max_epochs=2,
                    train_cfg__val_interval=2)  # fmt: skip
    given.pop('work_dir')
    words = _words('dist_train.sh', config, 2, '--work-dir', tmp_path / 'run', **given)
    done = run('bash', *words)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-3000:]
    top1 = float(re.search(r'accuracy/top1: (\S+)', text)[1])
    assert round(top1 * 15 / 100, 2) == round(top1 * 15 / 100)  # of 15, not 16
    if config == 'linear':
        state = torch.load(tmp_path / 'run/epoch_2.pth', weights_only=False)
        assert state['state_dict']['head.norm.num_batches_tracked'] == 6


def test_averaged_weights_are_tested_and_the_trained_ones_too(
    start, run_tool, tmp_path, monkeypatch
):
    runner = start('finetune', 'ema', custom_hooks=[dict(type='EMAHook', momentum=0.5)])
    runner.train()
    validated = runner.message_hub.get_scalar('val/accuracy/top1').current()
    file, out = tmp_path / 'ema' / 'epoch_3.pth', tmp_path / 'out.json'
    state = torch.load(file, weights_only=False)
    trained = state['state_dict']['head.fc.weight']
    average = state['ema_state_dict']['module.head.fc.weight']
    assert not torch.equal(trained, average)
    runner.cfg.dump(tmp_path / 'ema.py')
    seen = []
    for part in ('ema', 'trained'):
        words = [tmp_path / 'ema.py', file, '--out', out, '--part', part]
        keep = lambda self: seen.append(self.model.head.fc.weight.clone()) or {}  # noqa: E731
        monkeypatch.setattr('mmengine.runner.Runner.test', keep)
        assert run_tool('test.py', *words)[0] == 0
    assert torch.equal(seen[0], trained)
    assert torch.equal(seen[1], average)
    assert validated >= 0
    others = dict(state['state_dict'])
    others['head.fc.weight'] = others['head.fc.weight'][:2]
    plain = {k: v for k, v in others.items() if k.startswith('backbone.')}
    for weights, message in (
        (others, 'is of another Classifier: head.fc.weight has shape (2, '),
        (plain, 'is no checkpoint of this Classifier: it lacks '),
    ):
        torch.save({**state, 'state_dict': weights}, file)
        code, _, error = run_tool('test.py', *words)
        assert code == 2
        (line,) = error.splitlines()[-1:]
        assert line.startswith(f'error: {file} {message}')


def test_load_from_reads_a_backbone_or_refuses(start, tiny_mae, tmp_path):
    """Only the weights of a backbone, of a pretraining, of something else."""
    vit = tiny_mae().backbone
    torch.save(vit.state_dict(), tmp_path / 'vit.pth')
    runner = start('finetune', 'plain', load_from=str(tmp_path / 'vit.pth'))
    runner.load_or_resume()
    for name, value in runner.model.backbone.state_dict().items():
        assert torch.equal(value, vit.state_dict()[name]), name
    torch.save({'fc.weight': torch.ones(3)}, tmp_path / 'other.pth')
    runner = start('finetune', 'other', load_from=str(tmp_path / 'other.pth'))
    with pytest.raises(ValueError, match=r'other\.pth is of no known layout'):
        runner.load_or_resume()
