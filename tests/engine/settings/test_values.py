"""Impossible numbers, and sizes that do not fit together."""

import pytest
from mmengine.config import Config

from ccmim.engine.settings import check_sizes, check_values


@pytest.mark.parametrize(
    ('key', 'value', 'least'),
    [
        ('train_dataloader.batch_size', 0, 1),
        ('val_dataloader.batch_size', '8', 1),
        ('train_dataloader.num_workers', -1, 0),
        ('train_cfg.max_epochs', 2.5, 1),
        ('train_cfg.max_iters', float('inf'), 1),
        ('optim_wrapper.accumulative_counts', True, 1),
    ],
)
def test_counts_are_whole_numbers(key, value, least):
    cfg = Config()
    cfg.merge_from_dict({key: value})
    with pytest.raises(ValueError, match=f'{key}=.* a whole number from {least} on'):
        check_values(cfg)


def test_whole_numbers_may_be_written_as_others():
    check_values(Config(dict(train_cfg=dict(max_iters=1e5), val_dataloader=None)))


@pytest.mark.parametrize('base', [0, -1.5, '4096', True])
def test_the_batch_of_the_rate_is_a_positive_number(base):
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=base)))
    with pytest.raises(ValueError, match='auto_scale_lr.base_batch_size=.* must be po'):
        check_values(cfg)
    check_values(Config(dict(auto_scale_lr=dict(base_batch_size=4096 / 3))))


@pytest.mark.parametrize(
    ('slow', 'wrapper'),
    [(dict(), dict(accumulative_counts=4)), (dict(interval=4), dict())],
)
def test_a_slow_network_follows_once_an_update(slow, wrapper):
    cfg = Config(dict(model=dict(slow=slow), optim_wrapper=wrapper))
    with pytest.raises(ValueError, match='model.slow.interval=.*accumulative_counts='):
        check_values(cfg)
    cfg.merge_from_dict(
        {'model.slow.interval': 4, 'optim_wrapper.accumulative_counts': 4}
    )
    check_values(cfg)


def test_workers_that_persist_need_workers():
    cfg = Config(dict(train_dataloader=dict(num_workers=0, persistent_workers=True)))
    with pytest.raises(ValueError, match='set train_dataloader.persistent_workers=Fal'):
        check_values(cfg)
    cfg.train_dataloader.num_workers = 1
    check_values(cfg)


def _pretraining(**changes):
    cfg = Config(
        dict(
            default_scope='ccmim',
            model=dict(
                backbone=dict(type='VisionTransformer', arch='tiny', img_size=64),
                decoder=dict(in_dim=192, img_size=64, patch_size=16),
                contrast=dict(in_dim=192),
            ),
            train_dataloader=dict(
                dataset=dict(transform=[dict(size=72), dict(size=(64, 64)), dict()])
            ),
        )
    )
    cfg.merge_from_dict({k.replace('__', '.'): v for k, v in changes.items()})
    return cfg


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(model__backbone__arch='small'),
            'model.decoder.in_dim=192 does not fit model.backbone: its width is 384',
        ),
        (dict(model__contrast__in_dim=9), 'model.contrast.in_dim=9 does not fit'),
        (
            dict(model__backbone__patch_size=8),
            'model.decoder.patch_size=16 does not fit model.backbone: its patch_size',
        ),
        (dict(model__backbone__img_size=96), 'model.decoder.img_size=64 does not fit'),
        (
            dict(train_dataloader__dataset__transform__1__size=48),
            'transform.1.size=48 does not fit model.backbone: its img_size is 64',
        ),
        (dict(model__backbone__arch='gigantic'), "arch='gigantic' is unknown"),
    ],
)
def test_parts_of_other_sizes_are_refused(change, message):
    check_sizes(_pretraining())
    with pytest.raises(ValueError, match=message):
        check_sizes(_pretraining(**change))


def test_crops_are_free_where_nothing_is_made_for_a_size():
    """Positions are resampled; only a decoder's or a mask's are not."""
    cfg = _pretraining(model__backbone__img_size=96)
    cfg.model.decoder = dict(in_dim=192)
    check_sizes(cfg)


def test_other_backbones_are_left_alone():
    cfg = _pretraining(model__decoder__in_dim=2048)
    cfg.default_scope = 'mmseg'
    check_sizes(cfg)
