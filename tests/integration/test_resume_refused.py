"""A resume that would not go on with the same run is refused, by what differs."""

import re
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from PIL import Image

from ccmim.checkpoints import ResumeError, load_file
from ccmim.engine.launch import build_runner
from tests.conftest import write_photos
from tests.short_runs import short_config

FILE, NAN = 'epoch_1.pth', float('nan')


def _start(root, name='ccmim_vitb', resume=True, **changes):
    changes = {key.replace('__', '.'): value for key, value in changes.items()}
    changes = {'train_cfg.max_epochs': 2, **changes}
    cfg = short_config(f'pretrain/{name}', root / 'run', root / 'photos', changes)
    cfg.optim_wrapper.dtype = 'float32'
    cfg.resume = resume
    return build_runner(cfg)


@pytest.fixture(scope='module')
def killed(tmp_path_factory):
    """A folder with photos and a run of two epochs, killed in the second."""
    root = tmp_path_factory.mktemp('killed')
    write_photos(root / 'photos')
    _start(root, resume=False).train()
    (root / 'run' / 'epoch_2.pth').unlink()
    return root


@pytest.fixture
def begun(killed, tmp_path):
    """A copy of that run: start it again with changes, and its checkpoint."""
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    return partial(_start, tmp_path), tmp_path / 'run' / FILE


def _refusal(runner):
    with pytest.raises(ResumeError) as caught:
        runner.train()
    text = str(caught.value)
    assert '\n' not in text
    assert f'load_from={runner._load_from}' in text
    return text


SETTINGS = {
    'model.backbone.arch.num_heads': (4, '2 -> 4'),
    'model.backbone.drop_path_rate': (0.1, '[^ ]+ -> 0.1'),
    'model.mask_ratio': (0.6, '0.75 -> 0.6'),
    'model.contrast_weight': (0.5, '0.1 -> 0.5'),
    'model.reconstruction.norm_pix': (False, 'True -> False'),
    'optim_wrapper.optimizer.betas': ((0.9, 0.99), r'.*0.95 -> 0.99'),
    'optim_wrapper.optimizer.weight_decay': (0.1, '0.05 -> 0.1'),
    'optim_wrapper.optimizer.type': ('Adam', "'AdamW' -> 'Adam'"),
    'optim_wrapper.paramwise_cfg.layer_decay': (0.65, '[^ ]+ -> 0.65'),
    'train_dataloader.dataset.transform.0.scale': ((0.5, 1), '.*0.2 -> 0.5'),
    'train_dataloader.sampler.shuffle': (False, 'True -> False'),
    'param_scheduler.0.start_factor': (0.5, '0.0001 -> 0.5'),
    'randomness.seed': (3, '0 -> 3'),
}
HARMLESS = dict(
    train_dataloader__num_workers=1,
    default_hooks__logger__interval=3,
    default_hooks__checkpoint__max_keep_ckpts=1,
    model__backbone__init_cfg=None,
    model__backbone__drop_path_rate=0.0,  # as if it were not said
    param_scheduler__1__T_max=9,
    param_scheduler__1__end=10,
)


def test_settings_that_decide_the_numbers(begun):
    start, file = begun
    for key, (value, shown) in SETTINGS.items():
        text = _refusal(start(**{key: value}))
        start_of_line = re.escape(f'{file} is of another run: {key}')
        assert re.match(rf'{start_of_line}[.\d]*: {shown}', text), text
        if 'in each group' not in text:  # which no name can change
            assert f'--cfg-options resume_changed={key}' in text
    text = _refusal(start(default_hooks__ema=dict(type='EMAHook')))
    assert 'is of another run: hooks.EMAHook: absent -> ' in text
    assert load_file(file)['meta']['iter'] == 4  # untouched
    start(**HARMLESS).train()


def test_a_setting_is_taken_by_name(begun):
    """It then counts: PyTorch would take the optimizer's of the file."""
    start, file = begun
    names = ['model', 'optim_wrapper.optimizer', 'model.banana']
    changes = {
        'model.mask_ratio': 0.5,
        'optim_wrapper.optimizer.weight_decay': 0.5,
        'optim_wrapper.optimizer.betas': (0.8, 0.9),
    }
    text = _refusal(start(**changes, resume_changed=['model']))
    assert 'mask_ratio' not in text.split('Restore')[0]
    rates = [group['lr'] for group in load_file(file)['optimizer']['param_groups']]
    runner = start(**changes, resume_changed=names)
    seen = []
    runner.register_hook(_Watch(seen))
    runner.train()
    assert seen[0] == (rates, [(0.8, 0.9)] * len(rates), {0.0, 0.5})
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert 'resume_changed names model.banana, in which nothing has changed' in log
    assert 'resume_changed names model,' not in log


class _Watch(Hook):
    """Notes the optimizer's settings at each step."""

    def __init__(self, seen):
        self.seen = seen

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        groups = runner.optim_wrapper.optimizer.param_groups
        rates, betas = ([group[name] for group in groups] for name in ('lr', 'betas'))
        self.seen.append((rates, betas, {group['weight_decay'] for group in groups}))


BIAS = 'backbone.patch_embed.proj.bias'
# A place in the checkpoint, what becomes of it (None: it is taken out), what is said.
STATE = [
    ('state_dict decoder.pred.bias', lambda v: v[:5], r': \(5,\) float32 -> \(768,\)'),
    (f'state_dict {BIAS}', lambda v: v.half(), r': \(32,\) float16 -> \(32,\) float32'),
    (f'state_dict {BIAS}', None, r': absent -> \(32,\) float32'),
    ('state_dict backbone.gate', lambda _: torch.ones(2), r': \(2,\) float32 -> abs'),
    ('optimizer state', lambda _: {}, r': parameters with a state: \d+ -> 0'),
    ('optimizer state 3', None, r': parameters with a state: (\d+) -> \d+'),
    ('optimizer state 0 exp_avg', lambda v: v.new_zeros(3), r'.exp_avg of \S+: \(3,'),
    (
        'optimizer state 0 exp_avg',
        lambda v: v.long(),
        r'.exp_avg of \S+: \(32,\) int64',
    ),
    (
        'optimizer state 0 step',
        lambda v: v[None],
        r'.step of \S+: \(1,\) float32 -> \(\)',
    ),
    ('optimizer state 0', lambda _: {}, r'.step of \S+: absent -> \(\) float32; '),
    ('optimizer param_groups 0 lr', lambda _: NAN, ': lr of group 0: nan -> 0.0024'),
    ('optimizer param_groups 0 betas', None, ': betas of group 0: absent -> '),
    ('optimizer param_groups', lambda v: v[::-1], ': parameters in each group'),
    ('meta ccmim parameters', lambda v: v[1:] + v[:1], 'optimizer: parameter 0: '),
    ('param_schedulers', None, r': 0 schedulers -> \d schedulers'),
    ('param_schedulers', lambda v: v + v[:1], r': \d schedulers -> \d schedulers'),
]
UNUSABLE = [
    (
        'optimizer state 0 exp_avg',
        lambda v: v * NAN,
        'of parameter 0, exp_avg holds NaN',
    ),
    ('optimizer state 0 step', lambda v: -v, 'of parameter 0, step is negative'),
    ('meta epoch', lambda _: 'one', "its meta.epoch is 'one': input should be"),
    ('meta iter', lambda _: -4, 'its meta.iter is -4: input should be'),
    ('meta ccmim batch', None, 'its meta.ccmim.batch is dict: field required'),
    ('param_schedulers 0 last_step', lambda _: NAN, 'its param_schedulers.0.last_st'),
    (f'state_dict {BIAS}', lambda v: v * NAN, f'{BIAS} holds NaN'),
    (f'state_dict {BIAS}', lambda v: v + 1j, f'{BIAS} holds complex numbers'),
    ('optimizer', lambda _: [1], 'its optimizer is list: input should be'),
]


def _forge(file, place, change):
    whole = checkpoint = torch.load(file, weights_only=False)
    *way, last = (int(key) if key.isdigit() else key for key in place.split())
    for key in way:
        checkpoint = checkpoint[key]
    if change is None:
        del checkpoint[last]
    else:
        checkpoint[last] = change(checkpoint.get(last))
    torch.save(whole, file)


def test_state_of_another_run(begun):
    """Some of these ended the process by a segmentation fault, others went on."""
    start, file = begun
    whole = file.read_bytes()
    for place, change, shown in STATE:
        file.write_bytes(whole)
        _forge(file, place, change)
        text = _refusal(start())
        part, *names = place.split()
        said = {'state_dict': '.'.join([part, *names]), 'meta': ''}.get(part, part)
        said = re.escape(f'{file} is of another run: {said.removesuffix("s")}')
        assert re.match(f'{said}s?{shown}', text), (place, text)
    for place, change, shown in UNUSABLE:
        file.write_bytes(whole)
        _forge(file, place, change)
        with pytest.raises(ValueError, match='no checkpoint of .* can be used') as e:
            start()
        assert f'{file} cannot be resumed: {shown}' in str(e.value), place
    file.write_bytes(whole)
    _forge(file, 'meta epoch', lambda _: 10**9)  # as if the run were finished
    with pytest.raises(ResumeError, match='is at step 4 in epoch 1000000001'):
        start().train()


def test_another_method(begun):
    start, _ = begun
    text = _refusal(start('mae_vitb'))
    assert "model.type: 'CCMIM' -> 'MAE'" in text
    assert 'more, see the log' in text


def test_lost_schedulers_are_taken_by_name(begun):
    """The schedule is then the config's, from where the run is."""
    start, file = begun
    straight = start()
    straight.train()
    rates = straight.message_hub.get_scalar('train/lr').data[0].tolist()
    (file.parent / 'epoch_2.pth').unlink()
    _forge(file, 'param_schedulers', None)
    again = start(resume_changed='param_scheduler')
    again.train()
    assert again.message_hub.get_scalar('train/lr').data[0].tolist() == rates


def test_photos_that_changed_places(begun, tmp_path):
    start, file = begun
    one, other = sorted(tmp_path.glob('photos/*/*.jpg'))[1:3]
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])
    with pytest.raises(ResumeError) as caught:
        start().train()
    assert (
        'The data set has changed since step 4: 2 of 8 images are others under their '
        f'old names, or have other labels ({one}, {other}). Restore it'
    ) in str(caught.value)
    start(resume_changed='data').train()
    assert load_file(file.with_name('epoch_2.pth'))['meta']['iter'] == 8


def test_one_photo_of_the_same_size_is_another(begun, tmp_path):
    start, _ = begun
    photo = sorted(tmp_path.glob('photos/*/*.jpg'))[0]
    size = photo.stat().st_size
    Image.new('RGB', (96, 80)).save(photo)
    photo.write_bytes(photo.read_bytes().ljust(size, b'\0')[:size])
    with pytest.raises(ResumeError, match='1 of 8 images are others under their old'):
        start().train()
