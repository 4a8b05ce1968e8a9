"""A run that is stopped at any step goes on as if it had not been."""

import os
import re
import signal
import tarfile
import time
import zipfile

import fsspec
import pytest
import torch
from mmengine.hooks import EMAHook, Hook

from ccmim.checkpoints import choose_resume, verify_checkpoint
from ccmim.data import UnlabeledImages
from ccmim.engine.launch import build_runner
from ccmim.registry import HOOKS
from tests import processes
from tests.short_runs import short_config

THREE = {'train_cfg.max_epochs': 3}


@HOOKS.register_module(force=True)
class SignalAtStepHook(Hook):
    """Sends a real signal to this process while a step runs."""

    def __init__(self, step, number):
        self._step, self._number = step, number

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self._step:
            os.kill(os.getpid(), self._number)


@pytest.fixture(autouse=True)
def _signals():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    handlers = {n: signal.getsignal(n) for n in numbers}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def start(tiny_run):
    """Build a tiny run of three epochs of four steps; collects its losses."""

    def start(name, *hooks, resume=False, **options):
        changes = {k.replace('__', '.'): v for k, v in options.items()}
        cfg = tiny_run('ccmim_vitb', name, {**THREE, **changes})
        cfg.custom_hooks += list(hooks)
        cfg.resume = resume
        return build_runner(cfg)

    return start


def _history(runner):
    scalars = runner.message_hub.log_scalars
    return {
        key: value.data[0].tolist()
        for key, value in scalars.items()
        if 'loss' in key or key in ('train/lr', 'train/mask_importance_gap')
    }


def _same(ours, theirs):
    first, second = (run.model.state_dict().values() for run in (ours, theirs))
    return (
        _history(ours) == _history(theirs)
        and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        and (ours.epoch, ours.iter) == (theirs.epoch, theirs.iter)
    )


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ('number', 'code', 'step', 'file'),
    [
        (signal.SIGTERM, 143, 6, 'epoch_1_iter_6.pth'),
        pytest.param(signal.SIGINT, 130, 1, 'epoch_0_iter_1.pth', marks=SLOW),
        # At the end of an epoch:
        pytest.param(signal.SIGUSR1, 0, 8, 'epoch_1_iter_8.pth', marks=SLOW),
    ],
)
def test_a_signal_saves_and_the_run_goes_on_exactly(
    start, number, code, step, file, tmp_path
):
    """Order of the images, masks, losses, their history and weights, bit for bit."""
    straight = start('straight')
    straight.train()
    stopped = start('stopped', dict(type='SignalAtStepHook', step=step, number=number))
    with pytest.raises(SystemExit) as caught:
        stopped.train()
    assert caught.value.code == code
    pointer = (tmp_path / 'stopped' / 'last_checkpoint').read_text()
    assert pointer == str(tmp_path / 'stopped' / file)
    (log,) = (tmp_path / 'stopped').glob('*/*.log')
    assert (
        f'Stopped by {signal.Signals(number).name} after step {step}: saved {pointer}. '
        'To resume, give the same command with --resume'
    ) in log.read_text()
    torch.manual_seed(99)
    resumed = start(
        'stopped',
        resume=True,
        train_dataloader__num_workers=2 * (code > 0),
        train_dataloader__persistent_workers=code == 143,
    )
    resumed.train()
    assert _same(resumed, straight)
    assert len(_history(resumed)['train/loss']) == 12


@pytest.mark.slow
def test_accumulation_stops_at_the_end_of_a_cycle(start, tmp_path):
    """Cycles of three steps: asked for at 4, saved at 6, in the middle of an epoch."""
    changes = dict(optim_wrapper__accumulative_counts=3)
    straight = start('straight', **changes)
    straight.train()
    hook = dict(type='SignalAtStepHook', step=4, number=signal.SIGTERM)
    with pytest.raises(SystemExit):
        start('stopped', hook, **changes).train()
    assert (tmp_path / 'stopped' / 'epoch_1_iter_6.pth').is_file()
    resumed = start('stopped', resume=True, **changes)
    resumed.train()
    assert _same(resumed, straight)


@pytest.mark.slow
def test_the_average_of_the_weights_goes_on(start):
    """In the middle of an epoch, and not where it would be without the checkpoint."""

    def average(runner):
        hook = next(h for h in runner.hooks if isinstance(h, EMAHook))
        return hook.ema_model.state_dict()

    average_hook = dict(type='EMAHook', momentum=0.1)
    options = {'optim_wrapper__optimizer__lr': 1.0}
    straight = start('straight', average_hook, **options)
    straight.train()
    hook = dict(type='SignalAtStepHook', step=6, number=signal.SIGTERM)
    with pytest.raises(SystemExit):
        start('stopped', average_hook, hook, **options).train()
    resumed = start('stopped', average_hook, resume=True, **options)
    resumed.train()
    assert _same(resumed, straight)
    ours, theirs = average(resumed), average(straight)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert ours['steps'] == 12
    weight = 'module.backbone.patch_embed.proj.weight'
    assert not torch.equal(theirs[weight], straight.model.state_dict()[weight[7:]])


@pytest.mark.slow
def test_archives_are_trained_on_and_resumed(start, image_folder, tmp_path):
    """A tar within a tar, zip, parquet, an address; in a worker, in mid-epoch."""
    pyarrow = pytest.importorskip('pyarrow')
    photos = sorted(image_folder.rglob('*.jpg'))
    for name, files in dict(inner=photos[:3], outer=[tmp_path / 'inner.tar']).items():
        with tarfile.open(tmp_path / f'{name}.tar', 'w') as tar:
            for file in files:
                tar.add(file, file.name)
    with zipfile.ZipFile(tmp_path / 'some.zip', 'w', zipfile.ZIP_DEFLATED) as packed:
        for file in photos[3:6]:
            packed.write(file, file.name)
    rows = [dict(bytes=file.read_bytes(), path=file.name) for file in photos[6:7]]
    table = pyarrow.table(dict(image=rows))
    pytest.importorskip('pyarrow.parquet').write_table(table, tmp_path / 'a.parquet')
    far = fsspec.filesystem('memory')
    for file in photos[7:]:
        far.pipe_file(f'/photos/{file.name}', file.read_bytes())
    names = ('outer.tar', 'some.zip', 'a.parquet')
    data = [*(str(tmp_path / name) for name in names), 'memory://photos']
    options = dict(train_dataloader__dataset__data=data)
    options['train_dataloader__num_workers'] = 1
    straight = start('straight', **options)
    straight.train()
    assert len(_history(straight)['train/loss']) == 12
    hook = dict(type='SignalAtStepHook', step=6, number=signal.SIGTERM)
    with pytest.raises(SystemExit):
        start('stopped', hook, **options).train()
    resumed = start('stopped', resume=True, **options)
    resumed.train()
    assert _same(resumed, straight)


def test_nothing_there_starts_at_0(start, tmp_path):
    runner = start('new', resume=True, train_cfg__max_epochs=1)
    runner.train()
    assert len(_history(runner)['train/loss']) == 4
    (log,) = (tmp_path / 'new').glob('*/*.log')
    assert f'Nothing to resume in {tmp_path}/new: starting at 0' in log.read_text()


def test_a_hook_that_can_save_is_needed(start):
    runner = start('x', default_hooks__checkpoint__type='CheckpointHook')
    with pytest.raises(ValueError, match='type=ccmim.SafeCheckpointHook'):
        runner.train()


def _words(image_folder, work_dir, *words, **options):
    config = work_dir.with_suffix('.py')
    short_config('pretrain/ccmim_vitb', work_dir, image_folder, THREE).dump(config)
    options = {key.replace('__', '.'): value for key, value in options.items()}
    return [
        'tools/train.py', str(config), '--work-dir', str(work_dir), *map(str, words),
        *(['--cfg-options'] * bool(options)),
        *(f'{key}={value}' for key, value in options.items()),
    ]  # fmt: skip


@pytest.mark.slow
def test_the_command_is_stopped_from_outside(image_folder, tmp_path):
    """As Slurm does it: SIGTERM to every process of the job, loader workers too."""
    options = dict(train_cfg__max_epochs=1000, train_dataloader__num_workers=1)
    words = _words(image_folder, tmp_path, **options)
    process = processes.start(*processes.PYTHON, *words, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / 'last_checkpoint').is_file():
        assert process.poll() is None, process.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 143, text[-3000:]
    assert text.count('Stopped by SIGTERM after step') == 1
    assert 'Traceback' not in text
    saved = (tmp_path / 'last_checkpoint').read_text()
    assert re.fullmatch(r'epoch_\d+_iter_\d+.pth', os.path.basename(saved))
    verify_checkpoint(saved)


@pytest.fixture
def run_here(request, monkeypatch, run_tool):
    """Run a command in this process; how it exits, and its last line."""

    def run_here(words):
        monkeypatch.chdir(request.config.rootpath)
        code, _, errors = run_tool('train.py', *words[1:])
        return code, errors.splitlines()[-1]

    return run_here


def test_a_run_that_fails_at_its_first_batch_blocks_no_signal(
    run_here, image_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(UnlabeledImages, '__getitem__', lambda images, key: 1 / 0)
    code, error = run_here(_words(image_folder, tmp_path))
    assert (code, 'ZeroDivisionError' in error) == (2, True)
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_damaged_file_is_one_line(run_here, image_folder, tmp_path):
    torch.save(dict(state_dict=torch.zeros(9)), tmp_path / 'epoch_1.pth')
    with open(tmp_path / 'epoch_1.pth', 'r+b') as file:
        file.truncate(500)
    for words in (['--resume', tmp_path / 'epoch_1.pth'], ['--resume']):
        code, error = run_here(_words(image_folder, tmp_path, *words))
        assert code == 2
        assert error.startswith('error: ')
        assert f'checkpoint {tmp_path}/epoch_1.pth is damaged' in error
    assert not list(tmp_path.glob('epoch_2.pth'))


def test_a_full_disk_is_one_line(run_here, image_folder, tmp_path, monkeypatch):
    """The second checkpoint does not fit; the first can be resumed."""
    replace, saves = os.replace, []

    def full(part, path):
        saves.extend([path] * str(path).endswith('.pth'))
        if len(saves) > 1:
            raise OSError(28, 'No space left on device')
        replace(part, path)

    monkeypatch.setattr(os, 'replace', full)
    options = {'default_hooks__checkpoint__max_keep_ckpts': 1}
    code, error = run_here(_words(image_folder, tmp_path, **options))
    assert code == 3
    assert error.startswith(f'error: cannot write {tmp_path}/epoch_2.pth: No space')
    assert choose_resume(tmp_path) == f'{tmp_path}/epoch_1.pth'


def test_numbers_out_of_range_are_one_line(run_here, image_folder, tmp_path):
    options = {'optim_wrapper.optimizer.lr': 1e35}
    code, error = run_here(_words(image_folder, tmp_path, **options))
    assert code == 1
    found = re.match(
        r'error: [\w, ]+ (is|are) not finite at step ([23]) '
        rf'\(images {image_folder}/\S+.jpg, {image_folder}/\S+.jpg\); what it was '
        rf'computed from is in ({tmp_path}/debug/nan_\d.pt)\. The weights are',
        error,
    )
    assert found, error
    saved = torch.load(found[3], weights_only=True)
    assert saved['step'] == int(found[2])
    assert all(v.isfinite().all() for v in saved['state_dict'].values())
    assert not list(tmp_path.glob('*.pth'))
