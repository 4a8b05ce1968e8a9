"""Two gloo processes train what one does, and come to no deadlock.

All that needs two processes happens in one pair of them, as starting them takes long.
"""

import shutil
import time

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from torch import distributed

from ccmim.checkpoints import load_file, read_weights
from ccmim.checkpoints.shards import files_of
from ccmim.engine.launch import build_runner
from ccmim.registry import HOOKS, MODELS
from tests.two_processes import in_two_processes

pytestmark = [pytest.mark.dist, pytest.mark.slow]


@HOOKS.register_module(force=True)
class SeenByBothHook(Hook):
    """Notes images and losses of each step; one process is slow."""

    def __init__(self, slow=False):
        self.seen, self.losses, self._slow = [], [], slow

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append(data_batch['data_samples'].tolist())
        if self._slow and batch_idx == 1 and distributed.get_rank() == 1:
            time.sleep(2)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(outputs['loss'].item())


@MODELS.register_module(force=True)
class SpoiltReconstruction(torch.nn.Module):
    """Infinite at the fourth step of process 1."""

    calls = 0

    def forward(self, pred, images, split):
        self.calls += 1
        bad = self.calls == 4 and distributed.get_rank() == 1
        return pred.square().mean() / (0 if bad else 1)


def _train(cfg, folder, launcher='none', **changes):
    cfg = Config(cfg.to_dict())
    cfg.merge_from_dict({k.replace('__', '.'): v for k, v in changes.items()})
    cfg.work_dir = cfg.experiment_name = str(folder)
    if launcher != 'none' and not cfg.get('model_wrapper_cfg'):
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None
        )
    error = None
    try:
        runner = build_runner(cfg, launcher)
        runner.train()
    except (ValueError, FloatingPointError) as e:
        error = str(e)
    hook = next(h for h in runner.hooks if isinstance(h, SeenByBothHook))
    model = getattr(runner.model, 'module', runner.model)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    return dict(seen=hook.seen, losses=hook.losses, weights=weights, error=error)


SHARDED = dict(
    train_dataloader__batch_size=2, model_wrapper_cfg__type='ccmim.FullyShard'
)
IN_SHARDS = dict(
    SHARDED,
    model_wrapper_cfg__state_dict_type='sharded',
    default_hooks__checkpoint__max_keep_ckpts=4,
)


def _one_of_two(rank, cfg, folder):
    photos = cfg.train_dataloader.dataset.data
    return dict(
        even=_train(cfg, f'{folder}/run', 'pytorch', train_dataloader__batch_size=2),
        sharded=_train(cfg, f'{folder}/sharded', 'pytorch', **IN_SHARDS),
        resumed=_train(
            cfg, f'{folder}/full', 'pytorch', resume=True,
            load_from=f'{folder}/sharded/iter_3.pth', **SHARDED,
        ),
        again=_train(
            cfg, f'{folder}/full', 'pytorch', resume=True,
            load_from=f'{folder}/full/iter_5.pth', **SHARDED,
        ),
        odd=_train(
            cfg, f'{folder}/odd', 'pytorch', custom_hooks__0__slow=True,
            train_dataloader__drop_last=False, train_dataloader__batch_size=2,
            train_dataloader__dataset__data=f'{folder}/nine',
        ),
        unequal=_train(
            cfg, f'{folder}/unequal', 'pytorch',
            train_dataloader__dataset__data=f'{folder}/nine' if rank else photos,
        ),
        bad=_train(
            cfg, f'{folder}/bad', 'pytorch', train_dataloader__batch_size=2,
            model__reconstruction=dict(type='SpoiltReconstruction', _delete_=True),
            default_hooks__logger__interval=3,
        ),
        bad_sharded=_train(
            cfg, f'{folder}/bad_sharded', 'pytorch', **SHARDED,
            model__reconstruction=dict(type='SpoiltReconstruction', _delete_=True),
            default_hooks__logger__interval=3,
        ),
    )  # fmt: skip


def test_they_train_what_one_does(tiny_run, image_folder, tmp_path):
    """With a model that draws nothing at random, in steps of four of eight photos."""
    cfg = tiny_run(
        'ccmim_vitb',
        'run',
        {
            'model.sampler.type': 'TopKSampler',
            'model.contrast.batch_norm': 'global',
            'optim_wrapper.dtype': 'float32',
            'optim_wrapper.optimizer.lr': 1e-3,
            'train_dataloader.batch_size': 4,
            'train_cfg.max_epochs': 3,
            'default_hooks.checkpoint.by_epoch': False,
            'default_hooks.checkpoint.max_keep_ckpts': -1,
        },
    )
    cfg.param_scheduler = []
    cfg.custom_hooks = [dict(type='SeenByBothHook'), *cfg.custom_hooks]
    shutil.copytree(image_folder, tmp_path / 'nine')
    shutil.copy(tmp_path / 'nine/part0/0.jpg', tmp_path / 'nine/part0/9.jpg')
    (tmp_path / 'sharded/.iter_9.shards.part').mkdir(parents=True)
    zero, one = in_two_processes(tmp_path, _one_of_two, cfg, tmp_path)
    for name in ('even', 'odd', 'bad'):  # the processes have the same weights
        for key, value in zero[name]['weights'].items():
            if 'running' not in key:
                assert torch.equal(value, one[name]['weights'][key]), (name, key)

    # Spread weights train alike, are saved in shards or whole, and resume bit for bit.
    for rank in (zero, one):
        torch.testing.assert_close(rank['sharded']['losses'], rank['even']['losses'])
        assert rank['resumed']['losses'] == rank['sharded']['losses'][3:]
        assert rank['again']['losses'] == rank['sharded']['losses'][5:]
    saved, full, shards = (
        load_file(tmp_path / name / 'iter_6.pth') for name in ('run', 'full', 'sharded')
    )
    for content in (full, shards, saved):
        content['moments'] = content['optimizer']['state']
    for key in ('state_dict', 'moments'):
        torch.testing.assert_close(full[key], saved[key], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(shards[key], full[key], rtol=0, atol=0)
    sizes = [file.stat().st_size for file in files_of(tmp_path / 'sharded/iter_6.pth')]
    whole = (tmp_path / 'full/iter_6.pth').stat().st_size
    assert sizes[0] < 0.3 * whole
    assert all(0.35 * whole < size < 0.55 * whole for size in sizes[1:])
    kept = [f'iter_{step}.shards' for step in (3, 4, 5, 6)]  # of a killed save, nothing
    assert sorted(p.name for p in (tmp_path / 'sharded').glob('*.shards*')) == kept
    backbone = read_weights(tmp_path / 'sharded/iter_6.pth').state
    assert all(
        v.equal(full['state_dict'][f'backbone.{k}']) for k, v in backbone.items()
    )

    # Nine images for two processes in batches of two: 2 + 2 + 1 each.
    assert [len(b) for b in zero['odd']['seen']] == [2, 2, 1] * 3
    assert [len(b) for b in one['odd']['seen']] == [2, 2, 1] * 3
    assert zero['odd']['error'] is None

    for result in (zero, one):
        assert result['unequal']['error'].startswith(
            'process 1 has 9 images and process 0 has 8, or others: all need the same'
        )
        assert result['unequal']['losses'] == []
        finite = [torch.isfinite(v).all() for v in result['bad']['weights'].values()]
        assert all(finite)
    for bad in ('bad', 'bad_sharded'):
        assert 'process 0: grad_norm is not finite at step 4' in zero[bad]['error']
        assert (
            'process 1: loss_reconstruction is not finite at step 4 (images '
            in (one[bad]['error'])
        )
    for bad, has in (('bad', True), ('bad_sharded', False)):  # one has parts alone
        dump = torch.load(tmp_path / bad / 'debug' / 'nan_4_rank0.pt')
        assert ('state_dict' in dump) == has
    dumps = sorted(p.name for p in (tmp_path / 'bad' / 'debug').iterdir())
    assert dumps == ['nan_4_rank0.pt', 'nan_4_rank1.pt']

    # One process with twice the images a step: from the start, and from step 3 on.
    straight = _train(cfg, tmp_path / 'straight')
    shared = [
        [image for pair in zip(a, b, strict=True) for image in pair]
        for a, b in zip(zero['even']['seen'], one['even']['seen'], strict=True)
    ]
    assert straight['seen'] == shared
    together = (
        torch.tensor([zero['even']['losses'], one['even']['losses']]).mean(dim=0)
    )  # fmt: skip
    expected = torch.tensor(straight['losses'])
    torch.testing.assert_close(together, expected, rtol=0, atol=1e-6)
    # In shards, from two processes.
    cfg.resume, cfg.load_from = True, str(tmp_path / 'sharded' / 'iter_3.pth')
    resumed = _train(cfg, tmp_path / 'run')
    assert resumed['seen'] == straight['seen'][3:]
    torch.testing.assert_close(
        torch.tensor(resumed['losses']), expected[3:], rtol=0, atol=1e-6
    )
    logs = '\n'.join(p.read_text() for p in (tmp_path / 'run').glob('*/*.log'))
    assert (
        'Resuming: 2 images a process x 2 processes x 1 accumulated -> 4 images a '
        'process x 1 processes x 1 accumulated: the order of the images is kept'
    ) in logs
