"""Stored scores are refreshed when it is time, by every process its share."""

import pytest
import torch

from ccmim.engine import ScoreRefreshHook
from ccmim.engine.launch import build_runner
from tests.short_runs import short_config
from tests.two_processes import in_two_processes


@pytest.fixture
def config(image_folder, tmp_path):
    """Make the small AMT config tiny, with epochs of four steps on eight photos."""

    def make(folder, begin=1, interval=2, **changes):
        changes = {
            'model.sampler.begin': begin,
            'train_cfg.max_epochs': 4,
            'default_hooks.checkpoint.max_keep_ckpts': 9,
            'optim_wrapper.dtype': 'float32',
            **changes,
        }
        leaf = 'small/amt_mae_vitt'
        cfg = short_config(leaf, tmp_path / folder, image_folder, changes)
        cfg.custom_hooks[-1].update(begin=begin, interval=interval)
        return cfg

    return make


def _maps(file):
    return torch.load(file, weights_only=False)['state_dict']['scorer.maps']


def test_when_it_is_refreshed_and_what_is_stored(config, tmp_path):
    """Before epochs 1 and 3 of 0 to 3; the maps are those of the weights then.

    Of the whole network: none of its blocks is skipped, as in training.
    """
    deeper = {'model.backbone.arch.depth': 3, 'model.backbone.drop_path_rate': 0.5}
    runner = build_runner(config('run', **deeper))
    runner.train()
    maps = [_maps(tmp_path / 'run' / f'epoch_{i}.pth') for i in range(1, 5)]
    assert (maps[0] == 0).all()
    assert (maps[1].amax(dim=1) == 255).all()
    assert maps[1].float().std() > 20
    assert torch.equal(maps[1], maps[2])
    assert not torch.equal(maps[2], maps[3])

    model, data = runner.model, runner.train_dataloader.dataset.whole((64, 64))
    state = torch.load(tmp_path / 'run' / 'epoch_3.pth', weights_only=False)
    model.load_state_dict(state['state_dict'])
    images = torch.stack([data[i]['inputs'] for i in range(8)])
    images = model.data_preprocessor(dict(inputs=images))['inputs']
    scores = model.eval().scorer.scorer(model.backbone, images)
    expected = scores / scores.amax(1, keepdim=True) * 255
    torch.testing.assert_close(maps[3].float(), expected, atol=0.51, rtol=0)


def test_refreshing_leaves_the_training_alone(config):
    """Mode, generators and gradients are as they were; nothing is learned."""
    cfg = config('run', begin=0)
    runner, seen = build_runner(cfg), {}
    hook = next(h for h in runner.hooks if isinstance(h, ScoreRefreshHook))
    refresh = hook._refresh

    def watched(runner):
        model = runner.model
        before = {n: p.clone() for n, p in model.named_parameters()}
        state = torch.get_rng_state()
        refresh(runner)
        parameters = runner.model.named_parameters()
        seen['same'] = all(torch.equal(p, before[n]) for n, p in parameters)
        seen['rng'] = torch.equal(torch.get_rng_state(), state)
        seen['training'] = model.training and model.backbone.blocks[0].training
        seen['grad'] = any(p.grad is not None for p in model.parameters())
        raise KeyboardInterrupt

    hook._refresh = watched
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert seen == dict(same=True, rng=True, training=True, grad=False)


@pytest.mark.parametrize('more', [False, True])
def test_maps_of_other_images_are_made_anew_on_resume(
    config, image_folder, tmp_path, more
):
    """Another photo in the place of one, or beside it, though no refresh is due."""
    build_runner(config('run', **{'train_cfg.max_epochs': 2})).train()
    before = _maps(tmp_path / 'run' / 'epoch_2.pth')
    old = sorted(image_folder.rglob('*.jpg'))
    new = old[0].with_name('a_new_one.jpg')
    new.write_bytes(old[-1].read_bytes())
    if not more:
        old[0].unlink()
    cfg = config('run', resume_changed=['data'], **{'train_cfg.max_epochs': 3})
    cfg.load_from = str(tmp_path / 'run' / 'epoch_2.pth')
    cfg.resume = True
    runner = build_runner(cfg)
    runner.train()
    maps = runner.model.scorer.maps
    assert len(maps) == 8 + more
    assert (maps.amax(dim=1) == 255).all()
    assert not torch.equal(maps[0], before[0])


def test_a_step_sees_the_scores_of_its_images(config):
    """Index and place of the batch reach the scorer, image by image."""
    seen = []
    runner = build_runner(config('run', begin=0, **{'train_cfg.max_epochs': 1}))
    show = runner.model.scorer.show
    runner.model.scorer.show = lambda *shown: (seen.append(shown), show(*shown))
    runner.train()
    index = torch.cat([index for index, _ in seen])
    assert sorted(index.tolist()) == list(range(8))
    assert all(places.shape == (2, 4) for _, places in seen)


def test_a_damaged_picture_keeps_its_old_map(config, image_folder):
    """Here none, as it never had one; what is known of the others is stored."""
    broken = sorted(image_folder.rglob('*.jpg'))[2]
    broken.write_bytes(b'no image')
    runner = build_runner(config('run', begin=0, **{'train_cfg.max_epochs': 1}))
    runner.train()
    maps = runner.model.scorer.maps
    assert (maps[2] == 0).all()
    assert (maps.float().std(dim=1) > 1).sum() == 7


CONSTANT = dict(_delete_=True, type='ConstantScorer')
NO_STORE = "needs a type='StoredScorer' in model, and no part of MAE is one"
NO_BOX = "needs type='ImagesWithCropBox' in train_dataloader.dataset"


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'model.scorer': CONSTANT}, NO_STORE),
        ({'train_dataloader.dataset.type': 'UnlabeledImages'}, NO_BOX),
    ],
)
def test_what_does_not_fit_is_named_before_the_first_step(config, changes, message):
    with pytest.raises(ValueError, match=message):
        build_runner(config('run', **changes)).train()


def _refresh(cfg):
    """Refresh once, before the first step; the model's state afterwards."""
    runner = build_runner(cfg)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    hook = next(h for h in runner.hooks if isinstance(h, ScoreRefreshHook))
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    return runner.model.state_dict()


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_store_what_one_does(config, tmp_path):
    """Each scores every other picture, and both hold the maps of all."""
    two = config('two', begin=0)
    alone = _refresh(config('one', begin=0))
    for state in in_two_processes(tmp_path, lambda _: _refresh(two)):
        for name in ('scorer.maps', 'scorer.scales'):
            torch.testing.assert_close(state[name], alone[name], atol=1, rtol=1e-5)
        assert state['scorer.maps'].float().std(dim=1).min() > 1
