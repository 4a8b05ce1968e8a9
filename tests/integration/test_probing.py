"""A probe measures the features, and the training does not notice it."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ccmim.engine import FeatureWatchHook
from ccmim.engine.launch import build_runner
from tests.two_processes import in_two_processes

STEPS = [dict(type='ccmim.ResizeCenterCrop', size=64), dict(type='ccmim.ToUint8Tensor')]


@pytest.fixture
def train(tiny_run, tmp_path):
    def train(name, probe, method='ccmim_vitb', **changes):
        changes = {'train_cfg.max_epochs': 2, **changes}
        cfg = tiny_run(method, name, changes)
        cfg.default_hooks.pop('probe')
        cfg.default_hooks |= dict(probe=probe) if probe else {}
        cfg.model.backbone.drop_path_rate = 0.5  # random: what a stray draw would show
        runner = build_runner(cfg)
        runner.train()
        files = sorted((tmp_path / name).glob('*/vis_data/scalars.json'))
        lines = [json.loads(line) for f in files for line in f.read_text().splitlines()]
        return runner, lines

    return train


@pytest.fixture
def knn(image_folder):
    data = dict(type='ccmim.LabeledImages', data=str(image_folder), transform=STEPS)
    return dict(train=data, test=data, k=1, batch_size=3)


@pytest.mark.slow
def test_training_is_the_same_to_the_last_bit(train, knn):
    bare, losses = train('bare', None)
    probe = dict(type='ccmim.ProbeHook', interval=1, images=4, knn=knn)
    probed, lines = train('probed', probe)
    measured = [line for line in lines if 'probe/feature_rank' in line]
    assert [line['step'] for line in measured] == [4, 8]
    # The nearest neighbor of an image among themselves is itself.
    assert [line['probe/knn_accuracy'] for line in measured] == [100, 100]
    assert all(1 < line['probe/feature_rank'] <= 4 for line in measured)
    steps = [line for line in lines if 'loss' in line]
    assert [line['loss'] for line in steps] == [line['loss'] for line in losses]
    assert all(0 <= line['contrast_accuracy'] <= 1 for line in steps)
    ours, theirs = (run.model.state_dict() for run in (probed, bare))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert probed.model.training


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_share_the_work(tiny_run, knn, tmp_path):
    """Seven images over two processes: each feature stays with its label."""
    for data in (knn['train'], knn['test']):
        data.update(label_ratio=0.9)
    cfg = tiny_run('ccmim_vitb', 'two', {'train_cfg.max_epochs': 1})
    probe = dict(type='ccmim.ProbeHook', interval=1, images=8, knn=knn)
    cfg.default_hooks.probe = probe

    def train_in_one(_):
        build_runner(cfg, 'pytorch').train()

    in_two_processes(tmp_path, train_in_one)
    (file,) = Path(cfg.work_dir).glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    (probed,) = [line for line in lines if 'probe/feature_rank' in line]
    assert probed['probe/knn_accuracy'] == 100
    assert 1 < probed['probe/feature_rank'] <= 8


@pytest.fixture
def labeled_maps(tmp_path):
    """Ten photos with maps of two classes, the bright and the dark half."""
    rng = np.random.default_rng(0)
    for folder in ('images', 'annotations'):
        (tmp_path / 'maps' / folder).mkdir(parents=True)
    for i in range(10):
        classes = np.zeros((64, 64), np.uint8)
        classes[:, 32:] = 1
        pixels = 60 + 120 * classes[..., None] + rng.integers(0, 40, (64, 64, 3))
        photo = Image.fromarray(pixels.astype(np.uint8))
        photo.save(tmp_path / 'maps' / 'images' / f'{i}.jpg')
        Image.fromarray(classes).save(tmp_path / 'maps' / 'annotations' / f'{i}.png')
    return tmp_path / 'maps'


@pytest.mark.slow
def test_dense_features_are_watched_from_the_weights_on(
    train, tmp_path, labeled_maps, tiny_vit
):
    """The best is kept, damage warned of and a reason to stop; resumed with its start.

    The training is the same to the last bit.
    """
    torch.save(tiny_vit().state_dict(), tmp_path / 'vit.pth')
    started = {'model.backbone.init_cfg': dict(checkpoint=str(tmp_path / 'vit.pth'))}
    off = {'default_hooks.feature_watch': None}
    watch = dict(type='ccmim.FeatureWatchHook', interval=1, images=8)
    bare, _ = train('bare', None, **started, **off)
    labels = dict(watch, labels=str(labeled_maps))
    on = {'default_hooks.feature_watch': labels}
    watched, lines = train('watched', None, **started, **on)
    ours, theirs = (run.model.state_dict() for run in (watched, bare))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    found = [line for line in lines if 'probe/patch_retrieval' in line]
    assert [line['step'] for line in found] == [0, 4, 8]
    assert found[0]['probe/patch_agreement'] == 100
    assert all(line['probe/patch_agreement'] < 100 for line in found[1:])
    values = [line['probe/patch_retrieval'] for line in found]
    assert all(50 < value <= 100 for value in values)
    best = 1 + int(values[2] > values[1])
    (file,) = (tmp_path / 'watched').glob('best_*.pth')
    assert file.name == f'best_probe_patch_retrieval_epoch_{best}.pth'

    on = {'default_hooks.feature_watch': dict(watch, least=1.0, stop=True)}
    stopped, lines = train('stopped', None, **started, **on)
    assert stopped.epoch == 1
    log = next((tmp_path / 'stopped').glob('*/*.log')).read_text()
    assert log.count('dense features are far from the start: patch_agreement') == 1
    first = [line for line in lines if 'probe/patch_agreement' in line][-1]
    on['default_hooks.feature_watch'] = dict(watch)
    resumed, lines = train('stopped', None, **started, **on, resume=True)
    found = [line for line in lines if 'probe/patch_agreement' in line]
    assert [line['step'] for line in found] == [0, 4, 8]
    assert found[-1]['probe/patch_agreement'] < first['probe/patch_agreement'] < 100


def test_a_run_of_other_data_is_not_watched():
    said = []
    backbone = SimpleNamespace(init_cfg=dict(checkpoint='x'))
    runner = SimpleNamespace(
        model=SimpleNamespace(backbone=backbone),
        train_loop=None,
        train_dataloader=SimpleNamespace(dataset=None),
        logger=SimpleNamespace(info=said.append),
    )
    hook = FeatureWatchHook()
    hook.before_run(runner)
    hook.before_train(runner)  # would fail if it looked
    assert 'Features are not watched' in said[0]
    with pytest.raises(ValueError, match='labels needs epochs'):
        FeatureWatchHook(labels='maps').before_run(runner)


def test_steps_can_be_counted(monkeypatch):
    """After every third, and the last; of epochs nothing."""
    seen = []
    hook = FeatureWatchHook(interval=3, by_epoch=False)
    monkeypatch.setattr(hook, '_watch', lambda runner, step: seen.append(step))
    for step in range(8):
        runner = SimpleNamespace(iter=step, epoch=2, max_iters=8, max_epochs=3)
        hook.after_train_iter(runner, step)
    hook.after_train_epoch(runner)
    assert seen == [3, 6, 8]


@pytest.mark.parametrize(
    ('classes', 'photos', 'message'),
    [
        (('road',), 9, 'has one class only, road'),
        (('road', 'sky'), 7, 'has 28 patches to look up, fewer than the 30 neighbors'),
    ],
)
def test_labels_that_tell_nothing_are_refused(monkeypatch, classes, photos, message):
    found = SimpleNamespace(has_maps=True, classes=classes, train=[None] * photos)
    module = 'ccmim.engine.hooks.feature_watch'
    monkeypatch.setattr(f'{module}.find_labels', lambda path: path)
    monkeypatch.setattr(f'{module}.open_photos', lambda data, most: found)
    with pytest.raises(ValueError, match=message):
        FeatureWatchHook(labels='maps')._open((2, 2))


def test_photos_without_maps_are_no_labels(train, tmp_path, tiny_vit, image_folder):
    torch.save(tiny_vit().state_dict(), tmp_path / 'vit.pth')
    watch = dict(type='ccmim.FeatureWatchHook', labels=str(image_folder))
    changes = {
        'model.backbone.init_cfg': dict(checkpoint=str(tmp_path / 'vit.pth')),
        'default_hooks.feature_watch': watch,
    }
    with pytest.raises(ValueError, match='has no maps or masks: leave it out'):
        train('run', None, **changes)
