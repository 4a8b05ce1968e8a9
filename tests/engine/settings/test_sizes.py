"""Impossible numbers, and sizes that do not fit together."""

import pytest
from mmengine.config import Config

from ccmim.engine.settings import check_updates, fit_sizes


@pytest.mark.parametrize(
    ('teacher', 'wrapper'),
    [(dict(), dict(accumulative_counts=4)), (dict(interval=4), dict())],
)
def test_a_momentum_network_follows_once_an_update(teacher, wrapper):
    cfg = Config(dict(model=dict(teacher=teacher), optim_wrapper=wrapper))
    with pytest.raises(ValueError, match='teacher.interval=.*accumulative_counts='):
        check_updates(cfg)
    agreed = {'model.teacher.interval': 4, 'optim_wrapper.accumulative_counts': 4}
    cfg.merge_from_dict(agreed)
    check_updates(cfg)


def _pretraining(**changes):
    crop = dict(type='RandomResizedCrop', size=None)
    backbone = dict(type='VisionTransformer', img_size=(64, 96))
    cfg = Config(dict(default_scope='ccmim', model=dict(type='MAE', backbone=backbone)))
    for loader, steps in (('train', [crop, dict(type='Flip')]), ('val', [crop])):
        cfg[f'{loader}_dataloader'] = dict(dataset=dict(transform=steps))
    cfg.merge_from_dict({k.replace('__', '.'): v for k, v in changes.items()})
    return cfg


def test_images_have_the_size_of_the_backbone():
    cfg = _pretraining()
    fit_sizes(cfg)
    fit_sizes(cfg)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        assert loader.dataset.transform[0].size == (64, 96)
    assert 'size' not in cfg.train_dataloader.dataset.transform[1]
    cfg = _pretraining(model__backbone__img_size=128, default_scope='mmseg')
    fit_sizes(cfg)
    assert cfg.train_dataloader.dataset.transform[0].size is None


def test_crops_of_another_size_are_refused():
    other = dict(train_dataloader__dataset__transform__0__size=48)
    with pytest.raises(ValueError, match=r'transform.0.size=48 does not fit'):
        fit_sizes(_pretraining(**other))
    fit_sizes(_pretraining(**other, model__type='SimCLR'))  # nothing has a place
    fit_sizes(_pretraining(**other, model__type='Classifier'))


@pytest.mark.parametrize('scope', ['ccmim', 'mmdet', 'mmseg'])
@pytest.mark.parametrize('channels', [1, 4])
def test_networks_of_other_channels_are_refused(scope, channels):
    cfg = _pretraining(model__backbone__in_chans=channels, default_scope=scope)
    text = f'model.backbone.in_chans={channels} takes {channels} channels'
    with pytest.raises(ValueError, match=text):
        fit_sizes(cfg)
