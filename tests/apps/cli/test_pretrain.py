"""What a run starts from is written when it takes a folder, and no other time."""

import shutil
import signal
import sys
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope

from ccmim.api.catalogue import list_methods
from ccmim.apps.cli import estimate, main, pretrain
from ccmim.apps.cli.advice import advice
from ccmim.apps.cli.choose import Machine, Settings
from ccmim.apps.cli.estimate import Estimate
from ccmim.apps.cli.recipe import fit_queues, make_recipe
from ccmim.apps.cli.starting import TAUGHT
from ccmim.checkpoints import read_weights, write_weights
from ccmim.checkpoints.normalization import Pixels
from ccmim.engine.settings import check_recurrence
from ccmim.engine.signals.stop_hook import HELD, release_signals
from ccmim.vit import VisionTransformer
from tests import tiny_methods

FEW = ['--epochs', '1', '--batch-size', '4', '--image-size', '32']


@pytest.fixture
def begin(ccmim, image_folder, tmp_path, monkeypatch):
    """Make a function that gives the command; what it would train with is noted."""
    (image_folder / 'empty.jpg').touch()
    monkeypatch.setattr(pretrain, 'measure', lambda *_: Estimate(1, 1, 1, 1, 1))
    monkeypatch.setattr(pretrain, 'finish', lambda *_: None)

    def begin(*words, train=lambda: 2, out=tmp_path / 'run'):
        monkeypatch.setattr(pretrain, 'run_tool', lambda *_: train())
        return ccmim('pretrain', image_folder, '--out', out, *FEW, *words)

    begin.folder = tmp_path / 'run'
    return begin


@pytest.fixture
def run(begin):
    """A finished run; its own files are told by content."""

    def train():
        (begin.folder / 'epoch_1.pth').write_text('weights')
        return 0

    code, _, error = begin(train=train)
    assert code == 0, error
    assert 'empty.jpg\tempty' in (begin.folder / 'left_out.txt').read_text()
    return lambda: {
        name: (begin.folder / name).read_text()
        for name in ('recipe.py', 'left_out.txt')
    }


OTHER = ['--overwrite', '--workers', '2']


def test_a_dry_run_leaves_a_run_alone(begin, run, image_folder):
    before = run()
    (image_folder / 'empty.jpg').rename(image_folder / 'none.jpg')
    code, said, error = begin(*OTHER, '--dry-run')
    assert code == 0, error
    assert 'Nothing was trained (--dry-run). The run in ' in said
    assert run() == before
    code, said, _ = begin('--dry-run')
    assert code == 0
    assert 'The settings are in' in said
    assert run() == before


def test_a_dry_run_alone_leaves_its_settings(begin):
    assert begin('--dry-run')[0] == 0
    assert Config.fromfile(begin.folder / 'recipe.py').train_cfg.max_epochs == 1


def test_an_option_and_its_key_are_not_both_given(begin):
    options = ['--epochs', 3, '--cfg-options', 'train_cfg.max_epochs=5']
    code, _, error = begin(*options, out=begin.folder.with_name('other'))
    assert code == 2
    assert '--epochs and train_cfg.max_epochs say the same' in error


def test_a_folder_in_use_is_left_alone_before_the_first_checkpoint(
    begin, run, monkeypatch
):
    before = run()
    (begin.folder / 'epoch_1.pth').unlink()
    (begin.folder / 'run.lock').write_text('pid 1 on host another_host\n')

    def locked(*_):
        raise BlockingIOError

    monkeypatch.setattr('ccmim.engine.signals.run_lock.fcntl.lockf', locked)
    code, _, error = begin('--workers', '2')
    assert code == 2
    assert 'is used by pid 1 on host another_host' in error
    assert run() == before


def test_a_run_that_was_moved_finds_its_list_and_its_features(begin, run, tmp_path):
    cfg = Config.fromfile(begin.folder / 'recipe.py')
    kept = begin.folder / 'teacher_features'
    kept.mkdir()
    cfg.model.teacher = dict(type='CachedTeacher', teacher={}, folder=str(kept))
    cfg.dump(begin.folder / 'recipe.py')
    moved = tmp_path / 'moved'
    shutil.move(begin.folder, moved)
    seen = []

    def train():
        seen.append(Config.fromfile(moved / 'recipe.py'))
        return 0

    code, _, error = begin('--resume', out=moved, train=train)
    assert code == 0, error
    assert seen[0].train_dataloader.dataset.exclude == str(moved / 'left_out.txt')
    assert seen[0].model.teacher.folder == str(moved / 'teacher_features')


@pytest.mark.parametrize(
    ('options', 'base'),
    [
        ([], 64),
        (['optim_wrapper.accumulative_counts=4'], 16),
        (['optim_wrapper.optimizer.lr=0.5'], 64),
        (['auto_scale_lr.base_batch_size=32'], 32),
        (['auto_scale_lr.enable=False', 'optim_wrapper.accumulative_counts=4'], 64),
    ],
)
def test_the_rate_is_scaled_to_the_batch_of_the_options(begin, options, base):
    """As by tools/train.py --auto-scale-lr, which scales a given rate too."""
    words = ['--cfg-options', *options] if options else []
    assert begin('--dry-run', *words)[0] == 0
    cfg = Config.fromfile(begin.folder / 'recipe.py')
    is_scaled = 'auto_scale_lr.enable=False' not in options
    assert cfg.auto_scale_lr == dict(base_batch_size=base, enable=is_scaled)
    if 'lr=' in ''.join(options):
        assert cfg.optim_wrapper.optimizer.lr == 0.5


@pytest.fixture
def weights(tmp_path):
    """Those of a network with patches of 14 px, layer scale and learned positions."""
    arch = dict(embed_dim=32, depth=2, num_heads=4)
    vit = VisionTransformer(
        arch, 56, patch_size=14, pos_embed='learned', layer_scale_init=0.1, reg_tokens=2
    )
    torch.save(vit.state_dict(), tmp_path / 'init.pth')
    return tmp_path / 'init.pth', vit


@pytest.mark.parametrize('method', list_methods())
def test_every_method_begins_from_weights(begin, weights, method):
    """With their architecture, at another size, and a gentle rate where it is known."""
    file, vit = weights
    words = ['--init', file, '--method', method, '--image-size', '112']
    if method in TAUGHT:
        words += ['--teacher', file, '--cache-teacher', '3']
    code, text, error = begin(*words)
    assert code == 2, error  # nothing was trained here
    assert ('Anchor   ' in text) == (method not in ('ccmim', 'neco'))
    cfg = Config.fromfile(begin.folder / 'recipe.py')
    gentle = cfg.optim_wrapper.paramwise_cfg.lr_mult['backbone']
    images = cfg.train_dataloader.batch_size / cfg.auto_scale_lr.base_batch_size
    rate = cfg.optim_wrapper.optimizer.lr * images
    assert gentle * rate == pytest.approx(min(1e-5, rate / 10))
    with DefaultScope.overwrite_default_scope('ccmim'):
        model = MODELS.build(cfg.model)
        optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    if method in TAUGHT:
        assert model.teacher.most == 3e9
        check_recurrence(cfg)
    if method in ('ccmim', 'neco'):
        assert model.anchor is None
    else:
        assert (type(model.anchor).__name__, model.anchor.weight) == ('GramAnchor', 10)
    model.init_weights()
    own, state = model.backbone.state_dict(), vit.state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[k], v) for k, v in state.items() if k != 'pos_embed')
    assert torch.equal(own['pos_embed'][0, 1:], vit.positions((8, 8)))
    side = 112 // 14
    assert model.backbone.grid == (side, side)
    rates = {round(g['lr'] / cfg.optim_wrapper.optimizer.lr, 6) for g in
             optimizer.param_groups}  # fmt: skip
    assert round(gentle, 6) in rates


@pytest.mark.parametrize(
    ('method', 'has_anchor', 'expected'),
    [
        ('mae', True, ['frozen', 'with the anchor']),
        ('mae', False, ['frozen', 'with the anchor', 'lost 4.8']),
        ('ccmim', False, ['frozen', 'by 1.7 mIoU in', '6.7 in']),
        ('neco', True, ['frozen', 'by 1.5']),
    ],
)
def test_advice_for_good_weights_is_what_was_measured(method, has_anchor, expected):
    text = ' '.join(' '.join(advice(method, 100, True, has_anchor)).split())
    words = (
        'frozen',
        'with the anchor',
        'lost 4.8',
        'by 1.5',
        'by 1.7 mIoU in',
        '6.7 in',
    )
    assert [word for word in words if word in text] == expected


def test_weights_and_what_contradicts_them(begin, weights):
    file, _ = weights
    read = read_weights(file)
    read = replace(read, pixels=Pixels((127.5,) * 3, (127.5,) * 3))
    write_weights(read, file.with_suffix('.safetensors'), 'safetensors')
    words = ['--init', file.with_suffix('.safetensors'), '--lora', '4']
    code, _, error = begin(*words, '--image-size', '112')
    assert code == 2, error
    cfg = Config.fromfile(begin.folder / 'recipe.py')
    assert cfg.model.backbone.lora == 4
    assert cfg.model.data_preprocessor.mean == [127.5, 127.5, 127.5]
    assert 'lr_mult' not in cfg.optim_wrapper.paramwise_cfg  # all is new that trains
    for words, message in (
        (['--lora', '4'], '--lora adapts weights'),
        (['--init', file, '--size', 'base'], '--init and --size contradict each other'),
        (['--method', 'mae', '--teacher', file], 'relational_distill and --teacher go'),
        (['--method', 'maskdistill'], '--method maskdistill and --teacher go together'),
        (['--cache-teacher'], '--cache-teacher needs a teacher'),
        (['--init', 'nowhere.pth'], 'nowhere.pth does not exist'),
        (['--init', 'timm:vit_tyni'], 'timm has no such model'),
    ):
        code, _, error = begin(*words)
        assert code == 2
        assert message in error


def test_a_teacher_alone_is_distilled_by_its_relations(begin, weights):
    code, said, error = begin('--teacher', weights[0], '--image-size', '112')
    assert code == 2, error  # nothing was trained here
    assert 'relational_distill, the default with a teacher' in said
    model = Config.fromfile(begin.folder / 'recipe.py').model
    assert model.teacher.checkpoint == str(weights[0])
    assert model.photos.length == 4  # of eight photos


@pytest.mark.parametrize(('photos', 'length'), [(8, 80), (2, 32), (999, 2048)])
def test_neco_queues_patches_of_half_the_photos(photos, length):
    """Ten of each of two crops; no fewer than are drawn, no more than in the config."""
    cfg = tiny_methods.read('neco_vitt')
    fit_queues(cfg, photos)
    assert cfg.model.order.length == length


@pytest.mark.parametrize(
    ('device', 'workers', 'seconds'),
    [('cpu', 1, 10 * 3.0), ('cuda', 1, 10 * 4.0), ('cuda', 4, 10 * 2.0)],
)
def test_a_gpu_loads_while_it_computes_and_a_cpu_in_turn(device, workers, seconds):
    """Steps of 2 s; 8 images of half a second, on 4 cores."""
    machine = Machine(device, 'some', 8.0, cores=4)
    found = Estimate(step=2.0, image=0.5, gigabytes=1, checkpoint=1, steps=3)
    assert found.seconds(10, 8, machine, workers) == pytest.approx(seconds)


@pytest.mark.parametrize(('patience', 'whole'), [(60.0, 3), (0.0, 0)])
def test_no_whole_step_is_timed_that_would_take_too_long(
    tiny_ccmim, image_folder, monkeypatch, patience, whole
):
    """On a CPU four images tell how long a batch takes."""
    seen = []
    model = tiny_ccmim()
    step = type(model).train_step

    def counted(self, data, wrapper):
        seen.append(len(data['inputs']))
        return step(self, data, wrapper)

    monkeypatch.setattr(type(model), 'train_step', counted)
    monkeypatch.setattr(estimate, '_PATIENCE', patience)
    settings = Settings('ccmim', 'tiny', 32, 16, 8, 1, 1)
    machine = Machine('cpu', 'some', 8.0, cores=1)
    cfg = make_recipe(settings, [str(image_folder)], None)
    found = estimate.measure(cfg, machine)
    assert seen == [4, 4] + [8] * whole
    assert found.steps == whole
    assert found.step > 0


@pytest.mark.parametrize('words', [[], ['--dry-run']])
def test_signals_wait_while_what_can_be_saved_begins(words, monkeypatch):
    held = []

    def run(args):
        held.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    monkeypatch.setattr(pretrain, 'run', run)
    monkeypatch.setattr(sys, 'argv', ['ccmim', 'pretrain', 'photos', *words])
    try:
        main()
    finally:
        release_signals()
    assert held[0] >= {*HELD} if not words else held[0].isdisjoint(HELD)
