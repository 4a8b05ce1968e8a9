"""Old names of classes and arguments work for one release, with a warning."""

import copy
import importlib

import pytest
from mmengine.config import Config

from ccmim import registry
from ccmim.engine.resume.settings import deciding_values
from ccmim.engine.settings.arguments import check_arguments
from ccmim.ranges import arguments_of
from ccmim.registry import MODELS
from ccmim.renamed import ARGUMENTS, CLASSES, renamed


def _found(name):
    kinds = [r for r in vars(registry).values() if isinstance(r, type(MODELS))]
    (kind,) = {found for r in kinds if (found := r.get(f'ccmim.{name}'))}
    return kind


@pytest.mark.parametrize('old', CLASSES)
def test_an_old_class_is_the_new_one_in_every_scope(old):
    with pytest.warns(FutureWarning, match=f'{old} is called {CLASSES[old]} now'):
        assert _found(old) is _found(CLASSES[old])
    assert _found(CLASSES[old]).__name__ == CLASSES[old]


@pytest.mark.parametrize(
    ('room', 'old'),
    [
        ('masking', 'ThrowSampler'),
        ('teachers', 'SlowNetwork'),
        ('data', 'UnlabelledImages'),
    ],
)
def test_an_old_class_can_be_imported(room, old):
    room = importlib.import_module(f'ccmim.{room}')
    with pytest.warns(FutureWarning, match=f'{old} is called'):
        assert getattr(room, old).__name__ in room.__all__
    assert not hasattr(room, 'Unknown')


@pytest.mark.parametrize('kind', ARGUMENTS)
def test_old_arguments_stand_for_new_ones(kind):
    known = arguments_of(_found(kind)).hints
    for old, new in ARGUMENTS[kind].items():
        assert old not in known
        assert new in known
        with pytest.warns(FutureWarning, match=f'{kind}.{old} is called {new} now'):
            assert renamed([dict(type=kind, **{old: 1})]) == [{'type': kind, new: 1}]


def test_a_config_of_old_names_is_built_checked_and_resumed(tiny_ccmim):
    """Alone, as a whole config, and as the text that a checkpoint holds."""
    with pytest.warns(FutureWarning, match='decoded_share is called decoded_ratio'):
        assert tiny_ccmim(decoded_share=0.5).decoded_ratio == 0.5
    with pytest.raises(ValueError, match='decoded_share is the old name of decoded_r'):
        tiny_ccmim(decoded_share=0.5, decoded_ratio=0.5)
    grown = dict(type='ccmim.GrowingImages', schedule=[(0, 32)])
    old = dict(type='ccmim.MAE', decoded_share=0.5, data_preprocessor=grown)
    new = dict(type='ccmim.ProgressiveResize', schedule=[(0, 32)])
    new = dict(type='ccmim.MAE', decoded_ratio=0.5, data_preprocessor=new)
    cfg = Config(dict(model=old))
    with pytest.warns(FutureWarning):
        check_arguments(cfg)
    assert cfg.model == new
    # A config of ours, with its new name, overridden by what a user's calls it.
    layers = dict(type='ccmim.HPM', teacher=dict(momentum=0.9, interval=2))
    with pytest.warns(FutureWarning):
        joined = renamed(dict(layers, slow=dict(momentum=0.5)))
    assert joined == dict(type='ccmim.HPM', teacher=dict(momentum=0.5, interval=2))
    with pytest.warns(FutureWarning):
        values = deciding_values(Config(dict(model=old)).pretty_text)
    assert values == deciding_values(Config(dict(model=new)).pretty_text)


def test_sizes_and_epochs_that_are_said_in_another_way_are_the_same_run():
    """Positions by a size of their own, stages by fractions of the run."""
    sampler = dict(type='SwitchSampler', begin=10)
    old = dict(
        train_cfg=dict(max_epochs=40),
        model=dict(backbone=dict(img_size=224), sampler=sampler),
        custom_hooks=[dict(type='ccmim.ScoreRefreshHook', begin=10, interval=5)],
    )
    new = copy.deepcopy(old)
    new['model']['backbone'].update(img_size=1024, pos_size=224)
    new['model']['sampler']['begin'] = 0.25
    new['custom_hooks'][0].update(begin=0.25, interval=0.125)
    texts = [Config(cfg).pretty_text for cfg in (old, new)]
    assert deciding_values(texts[0]) == deciding_values(texts[1])
    new['custom_hooks'][0].update(begin=0.5)
    assert deciding_values(texts[0]) != deciding_values(Config(new).pretty_text)
