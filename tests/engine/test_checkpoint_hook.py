"""An old checkpoint is deleted only when the new one is known to be good."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.hooks import CheckpointHook
from torch.utils.data import DataLoader

from ccmim.checkpoints.atomic import AtomicLocalBackend, write_atomically
from ccmim.engine.hooks.checkpoint import SafeCheckpointHook
from ccmim.engine.optim.autocast import AutocastOptimWrapper
from ccmim.files import WriteError
from tests.engine.runs import line_run


@pytest.fixture
def start(tmp_path):
    """Build a run of epochs of five steps."""
    write_atomically()

    def start(hook, epochs=3, accumulated=1, **options):
        hooks = dict(checkpoint=hook, logger=dict(type='LoggerHook'))
        return line_run(tmp_path / 'run', epochs, accumulated, hooks, **options)

    return start


def _files(runner):
    return sorted(p.name for p in Path(runner.work_dir).glob('*.pth'))


def _fail_from(monkeypatch, number):
    """Let the disk be full from a checkpoint on."""
    put, count = AtomicLocalBackend.put, [0]

    def limited(self, obj, filepath):
        count[0] += str(filepath).endswith('.pth')
        if count[0] >= number:
            raise WriteError('full')
        put(self, obj, filepath)

    monkeypatch.setattr(AtomicLocalBackend, 'put', limited)


@pytest.mark.parametrize('hook', [SafeCheckpointHook, CheckpointHook])
def test_a_full_disk_leaves_the_last_good_one(start, monkeypatch, hook):
    """mmengine's hook is the control: it has deleted the only one by then."""
    runner = start(hook(interval=1, max_keep_ckpts=1))
    _fail_from(monkeypatch, 3)
    with pytest.raises(WriteError):
        runner.train()
    safe = hook is SafeCheckpointHook
    assert _files(runner) == (['epoch_2.pth'] if safe else [])
    pointer = Path(runner.work_dir, 'last_checkpoint').read_text()
    assert os.path.isfile(pointer) == safe


def test_damage_found_after_saving_deletes_nothing(start, monkeypatch):
    runner = start(SafeCheckpointHook(interval=1, max_keep_ckpts=1))
    put = AtomicLocalBackend.put

    def damaging(self, obj, filepath):
        if str(filepath).endswith('epoch_2.pth'):
            obj = obj[:-100]
        put(self, obj, filepath)

    monkeypatch.setattr(AtomicLocalBackend, 'put', damaging)
    with pytest.raises(ValueError, match='epoch_2.pth is damaged'):
        runner.train()
    assert 'epoch_1.pth' in _files(runner)
    assert Path(runner.work_dir, 'last_checkpoint').read_text().endswith('epoch_1.pth')


@pytest.mark.parametrize(
    ('by_epoch', 'interval', 'keep', 'files'),
    [
        (True, 1, 2, ['epoch_2.pth', 'epoch_3.pth']),
        (True, 2, -1, ['epoch_2.pth', 'epoch_3.pth']),
        (False, 4, 1, ['iter_15.pth']),
        (False, 4, 3, ['iter_12.pth', 'iter_15.pth', 'iter_8.pth']),
    ],
)
def test_as_many_as_asked_for_are_kept(start, by_epoch, interval, keep, files):
    hook = SafeCheckpointHook(interval=interval, by_epoch=by_epoch, max_keep_ckpts=keep)
    runner = start(hook)
    folder = Path(runner.work_dir)
    (folder / 'pictures').mkdir()
    for name in ('.epoch_9.pth.part', '.part.a.png', 'pictures/.epoch_9.png.part'):
        (folder / name).write_text('of a writer that was killed')
    (folder / '.epoch_8.shards.part').symlink_to(Path(__file__).parent)
    runner.train()
    assert _files(runner) == files
    assert not list(folder.rglob('.*part*'))


def test_what_a_checkpoint_says_is_kept_is_no_path(start, tmp_path):
    """The names of old checkpoints are data of a file: they once led anywhere."""
    runner = start(SafeCheckpointHook(interval=1, max_keep_ckpts=1), epochs=1)
    Path(runner.work_dir, 'epoch_').mkdir()
    (tmp_path / 'epoch_300.pth').touch()
    kept = ['/../../epoch_300', 7, '0_iter_2']
    runner.message_hub.update_info('keep_ckpt_ids', kept)
    Path(runner.work_dir, 'epoch_7.pth').touch()
    runner.train()
    assert (tmp_path / 'epoch_300.pth').exists()
    assert _files(runner) == ['epoch_1.pth']


def test_checkpoints_wait_for_the_end_of_the_cycle(start):
    """Epochs of five steps, updates every four: 5 waits until 8, 10 until 12."""
    runner = start(SafeCheckpointHook(interval=1), accumulated=4)
    runner.train()
    steps = {
        name: torch.load(Path(runner.work_dir, name), weights_only=False)['meta']
        for name in _files(runner)
    }
    assert {n: (m['epoch'], m['iter']) for n, m in steps.items()} == {
        'epoch_1.pth': (1, 8),
        'epoch_2.pth': (2, 12),
        'epoch_3.pth': (3, 15),  # the last update comes early
    }


@pytest.mark.parametrize('accumulated', [1, 4])
@pytest.mark.parametrize('interval', [3, 5, 7])
def test_any_step_goes_on_exactly(start, interval, accumulated):
    """At the end of an epoch too, where the epoch's hooks have not run yet."""
    halve = dict(type='StepLR', step_size=1, gamma=0.5, by_epoch=True)
    options = dict(param_scheduler=halve)
    hook = dict(type=SafeCheckpointHook, interval=interval, by_epoch=False)
    straight = start(hook, accumulated=accumulated, **options)
    straight.train()
    for name in _files(straight):
        again = start(hook, accumulated=accumulated, **options)
        again._resume, again._load_from = True, str(Path(again.work_dir, name))
        again.train()
        assert torch.equal(again.model.weight, straight.model.weight), name
        assert (again.epoch, again.iter) == (3, 15)
        ours, theirs = (
            r.message_hub.get_scalar('train/lr').data[0].tolist()
            for r in (again, straight)
        )
        assert ours == theirs
        assert len(ours) == 15


def test_the_scale_of_fp16_goes_on(start):
    """Lowered by an overflow before, it is not the first one again."""

    def begin():
        runner = start(dict(type=SafeCheckpointHook, interval=7, by_epoch=False))
        half = dict(type=AutocastOptimWrapper, dtype='float16')
        runner.optim_wrapper = dict(half, optimizer=dict(type='SGD', lr=0.1))
        runner.model.weight.register_hook(lambda g: g / 0 if runner.iter == 3 else g)
        return runner

    straight = begin()
    straight.train()
    again = begin()
    again._resume, again._load_from = True, str(Path(again.work_dir, 'iter_7.pth'))
    again.train()
    scaler = again.optim_wrapper.scaler
    assert scaler.get_scale() == 2**15
    assert scaler.state_dict() == straight.optim_wrapper.scaler.state_dict()
    assert torch.equal(again.model.weight, straight.model.weight)


def test_epochs_of_another_length_are_refused(start):
    """With other images or another batch the position has no meaning."""
    hook = dict(type=SafeCheckpointHook, interval=7, by_epoch=False)
    runner = start(hook)
    runner.train()
    again = start(hook, epochs=9)
    again._resume, again._load_from = True, str(Path(again.work_dir, 'iter_14.pth'))
    again._train_dataloader = DataLoader(torch.arange(4.0), batch_size=2)
    with pytest.raises(ValueError, match='at step 14 in epoch 3, .* has 2 steps'):
        again.train()
