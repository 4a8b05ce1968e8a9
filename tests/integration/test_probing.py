"""A probe measures the features, and the training does not notice it."""

import json
import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import Config

from ccmim.engine.launch import build_runner

STEPS = [
    dict(type='ccmim.ResizeCenterCrop', size=64),
    dict(type='ccmim.ToUint8Tensor'),
]


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


def _train_one_of_two(rank, cfg, port):
    os.environ['LOCAL_RANK'] = str(rank)
    torch.distributed.init_process_group(
        'gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=2
    )
    build_runner(Config(cfg), 'pytorch').train()
    torch.distributed.destroy_process_group()


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_share_the_work(tiny_run, knn, unused_port):
    """Seven images over two processes: each feature stays with its label."""
    for data in (knn['train'], knn['test']):
        data.update(label_ratio=0.9)
    cfg = tiny_run('ccmim_vitb', 'two', {'train_cfg.max_epochs': 1})
    probe = dict(type='ccmim.ProbeHook', interval=1, images=8, knn=knn)
    cfg.default_hooks.probe = probe
    mp.start_processes(
        _train_one_of_two, (cfg.to_dict(), unused_port), nprocs=2, start_method='fork'
    )
    (file,) = Path(cfg.work_dir).glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    (probed,) = [line for line in lines if 'probe/feature_rank' in line]
    assert probed['probe/knn_accuracy'] == 100
    assert 1 < probed['probe/feature_rank'] <= 8


@pytest.fixture
def unused_port():
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]
