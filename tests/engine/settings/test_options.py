"""What the command line may change in a config, and how."""

import re
from argparse import ArgumentParser

import pytest
from mmengine.config import Config

from ccmim.engine.settings import check_options, paths_as_texts
from ccmim.engine.settings.option_action import OptionAction

ADAMW = dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95))
TOP = dict(default_scope='ccmim', epochs=5, work_dir='runs', compile_blocks='auto')
CONFIG = dict(
    **TOP,
    resume=False,
    load_from=None,
    model=dict(
        type='MAE',
        backbone=dict(type='VisionTransformer', arch=dict(depth=2), img_size=64),
        mask_ratio=0.75,
        test_cfg=dict(rcnn=dict(score_thr=0.05, max_per_img=100)),
    ),
    train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=5),
    train_dataloader=dict(
        batch_size=4,
        persistent_workers=False,
        dataset=dict(type='UnlabeledImages', data='photos', transform=[{}, {}]),
    ),
    optim_wrapper=dict(type='AutocastOptimWrapper', optimizer=ADAMW),
    param_scheduler=[dict(type='LinearLR', end=3), dict(type='PolyLR', end=5)],
    randomness=dict(seed=0),
)


# What is set, and what is said; {key} is its key.
REFUSED = """
modle.mask_ratio=0.5 | unknown key modle: did you mean model?
train_cgf.max_epochs=3 | unknown key train_cgf: did you mean train_cfg?
train_dataloader.batchsize=3 | {key}: did you mean train_dataloader.batch_size?
train_dataloader.banana=3 | unknown key {key}
randomness.sead=3 | {key}: did you mean randomness.seed?
model.test_cfg.rcnn.scor_thr=0.1 | did you mean model.test_cfg.rcnn.score_thr?
param_scheduler.2.end=3 | param_scheduler.2: there are param_scheduler.0, param_schedule
param_scheduler.end=3 | unknown key {key}: there are
train_cfg.max_epochs.x=3 | {key} cannot be set: train_cfg.max_epochs is 5
load_from.x=3 | {key} cannot be set: load_from is None
train_cfg.max_epochs=ten | max_epochs=ten does not fit: it is 5
model.mask_ratio=half | does not fit: it is 0.75 in the config
train_dataloader.persistent_workers=ja | it is False in the config
resume=flase | {key}=flase does not fit: it is False
model.backbone=tiny | set {key}.type=... instead
model=5 | {key}=5 does not fit
param_scheduler=5 | set {key}.0.KEY=... instead
optim_wrapper.optimizer.betas=x | it is (0.9, 0.95) in the config
"""


@pytest.mark.parametrize('row', REFUSED.strip().splitlines())
def test_what_cannot_be_set_is_refused(row):
    option, message = row.split(' | ')
    key, value = option.split('=')
    message = re.escape(message.format(key=key))
    with pytest.raises(ValueError, match=message):
        check_options(Config(CONFIG), {key: int(value) if value.isdigit() else value})


def test_a_key_and_a_part_of_it_are_not_both_set():
    both = {'model.mask_ratio.x': 1, 'model.mask_ratio': 0.5}
    for options, message in (
        (both, 'and a part of it'),
        (dict(reversed(both.items())), 'is set, and something'),
    ):
        with pytest.raises(ValueError, match=message):
            check_options(Config(CONFIG), options)


@pytest.mark.parametrize(
    'options',
    [
        {'model.mask_ratio': 1, 'train_cfg.max_epochs': 5.0},
        {'train_dataloader.dataset.data': ['a', 'b']},
        {'train_dataloader.dataset.data': None, 'train_dataloader.batch_size': None},
        {'model.backbone.arch': 'tiny'},  # which says that it may be a text
        {'model.backbone.img_size': [64, 96]},
        {'model.backbone.init_cfg.checkpoint': 'file.pth'},  # of a class that knows it
        {'compile_blocks': True, 'load_from': 'file.pth', 'experiment_name': 'x'},
        {'randomness.deterministic': True, 'train_cfg.val_interval': 2},
        {'train_dataloader.timeout': 3, 'train_dataloader.collate_fn.type': 'x'},
        {'param_scheduler.1.end': 4, 'optim_wrapper.clip_grad.max_norm': 1.0},
        {'visualizer.type': 'Visualizer', 'custom_hooks': [], 'float32_matmul': 'high'},
        {'default_hooks.ema.type': 'EMAHook', 'default_hooks.ema.momentum': 0.1},
        {'model.test_cfg.rcnn.nms.iou_threshold': 0.5},  # new, and like nothing there
    ],
)
def test_what_may_be_set_is_not(options):
    check_options(Config(CONFIG), options)


def test_a_variable_of_the_file_is_named_with_the_key_that_counts():
    cfg = Config(dict(CONFIG, end=5))
    with pytest.raises(ValueError, match='end is a variable of the config file') as e:
        check_options(cfg, {'end': 7})
    assert 'Set param_scheduler.0.end, param_scheduler.1.end instead' in str(e.value)
    with pytest.raises(ValueError, match='Set the keys that it was used for'):
        check_options(Config(CONFIG), {'epochs': 7})


@pytest.fixture
def parser():
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction)
    return parser


def test_words_become_values(parser):
    words = ['a.b=1', 'c=x,y', 'd=[1,(2,3)]', 'e=my photos', 'f=None', 'g="1"', 'h=a=b']
    options = parser.parse_args(['--cfg-options', *words]).cfg_options
    assert options == {
        **{'a.b': 1, 'c': ['x', 'y'], 'd': [1, (2, 3)], 'e': 'my photos'},
        **{'f': None, 'g': '1', 'h': 'a=b'},
    }


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('runs/epoch_60 (1).pth', 'runs/epoch_60 (1).pth'),
        ('epoch_60 (1).pth', 'epoch_60 (1).pth'),
        ('/home/u/a,b/e.pth', '/home/u/a,b/e.pth'),
        ('(1) photos', '(1) photos'),
        ('[my photos/a, b (1)/c]', ['my photos/a', 'b (1)/c']),
        ("['a,b/c', d]", ['a,b/c', 'd']),
        ("'1,2'", '1,2'),
        ('1, 2.5,none,True', [1, 2.5, 'none', True]),
        ('(x,y)', ('x', 'y')),
        ('(3,)', (3,)),
        ('[]', []),
        ('[(1, 2), [a], ()]', [(1, 2), ['a'], ()]),
        ('https://host/a,b', 'https://host/a,b'),
        ('', ''),
        ('007', '007'),
    ],
)
def test_brackets_and_commas_in_paths_are_kept(parser, text, value):
    options = parser.parse_args(['--cfg-options', f'a={text}']).cfg_options
    assert options == {'a': value}


@pytest.mark.parametrize(
    'word', ['a', '=1', 'a..b=1', 'a=[1,2', 'a=1)],(2', "a=['b]", 'a=(old) and (new)']
)
def test_words_that_are_no_settings_end_with_code_2(parser, word, capsys):
    with pytest.raises(SystemExit) as end:
        parser.parse_args(['--cfg-options', word])
    assert end.value.code == 2
    assert 'argument --cfg-options: ' in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_may_be_called_by_a_number(parser):
    words = ['--cfg-options', 'train_dataloader.dataset.data=2024', 'b.root=[1,x]']
    words += ['work_dir=3.5', 'a.batch_size=4', 'a.data.share=0.5']
    assert paths_as_texts(parser.parse_args(words).cfg_options) == {
        'train_dataloader.dataset.data': '2024',
        'b.root': ['1', 'x'],
        'work_dir': '3.5',
        'a.batch_size': 4,
        'a.data.share': 0.5,
    }


def test_all_tools_read_them_alike(request):
    tools = request.config.rootpath.glob('tools/*.py')
    assert [p.name for p in tools if 'DictAction' in p.read_text()] == []
