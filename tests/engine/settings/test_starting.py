"""tools/train.py finds a mistake before it trains, and changes nothing then."""

import json

import pytest
import torch

from ccmim.checkpoints import load_file


def _files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


@pytest.fixture
def train(tool, config_file, tmp_path):
    """Run tools/train.py on the tiny config with changes; code and last line."""

    def train(*words, **changes):
        options = [f'{k.replace("__", ".")}={v}' for k, v in changes.items()]
        options = ['--cfg-options', *options] if options else []
        folder = [] if '--work-dir' in words else ['--work-dir', tmp_path / 'run']
        return tool('train.py', config_file, *folder, *words, *options)

    return train


# What is set, and what is said; {} is the setting, {key} its key.
MISTAKES = """
optim_wrapper.optimizer.lrr=1 | unknown key {key}: did you mean optim_wrapper.optimizer
train_cfg.max_epochs=ten | {} does not fit
model.mask_ratio=0.999 | mask_ratio=0.999 leaves 0 of 16 patches
train_dataloader.batch_size=0 | {} must
train_dataloader.batch_size=9 | 8 images are too few for a batch of 9
model.backbone.img_size=65 | transform.0.size=64 does not fit
optim_wrapper.dtype=float17 | optim_wrapper.dtype='float17' must be
model.type=CCMINN | unknown type CCMINN of model: did you mean CCMIM?
default_hooks.stop.type=ccmim.StopHok | did you mean ccmim.StopHook?
param_scheduler.0.endd=3 | 'endd': did you mean end? (--debug
load_from=no.pth | checkpoint no.pth does not exist
train_dataloader.dataset.data=no | no
compile_blocks=perhaps | compile_blocks='perhaps' must be
model.contrast.out_dim=0 | {} must be a whole
model.backbone.mlp_ratio=0 | {} must be a number
model.backbone.arch.depth=0 | {} must be a
model.decoder.depth=-1 | {} must be a whole number
model.decoder.num_heads=0 | {} must be a whole
model.sampler.temperature=0 | unknown key {key} (CCMIMSampler
model.contrast.grad=none | {key}='none' must be 'visi
model.backbone.init_cfg.file=x | unknown key model.backbone.init_cfg
train_dataloader.dataset.transform.0.size=-8 | {}
optim_wrapper.clip_grad.max_norm=-1 | {} must be a number above 0
param_scheduler=None | {} would be silent: set [
param_scheduler.1.power=nan | {} must be
float32_matmul=abc | float32_matmul='abc' must be 'highest'
default_hooks.logger.interval=1.5 | {}
custom_hooks=5 | {}
optim_wrapper.paramwise_cfg.norm_decay_mul=0 | unknown key {key}:
env_cfg.cudnn_benchmarc=True | unknown key {key}: did you mean
randomness.seed=-1 | {} must be a whole number from 0
model.backbone.arch.num_heads=5 | {} must divide embed_dim=32
model.decoder.num_heads=3 | {} must divide embed_dim=16
model.backbone.patch_size=24 | img_size=64 must be one or two multiples of patch_size=24
default_hooks.checkpoint.filename_tmpl=last.pth | {key}='last.pth' must have one {{}} f
train_dataloader.dataset.transform.0.scale=(1.0,0.2) | {key}=(1.0, 0.2) must be the leas
train_dataloader.dataset.max_bad_ratio=None | {} must be a number
model.contrast.in_dim=7 | {} of SingleViewContrast does not fit the
optim_wrapper.optimizer.fused=x | {key}=
"""


@pytest.mark.parametrize('row', MISTAKES.strip().splitlines())
def test_a_mistake_is_one_line_with_code_2(train, tmp_path, row):
    option, line = row.split(' | ')
    before = _files(tmp_path)
    code, text = train('--cfg-options', option)
    assert code == 2
    assert text.startswith('error: ')
    assert line.format(option, key=option.split('=')[0]) in text
    assert _files(tmp_path) == before


def test_no_config_and_a_broken_one_are_mistakes(tool, tmp_path):
    file = tmp_path / 'x.py'
    assert tool('train.py', file) == (2, f'error: config {file} does not exist')
    file.write_text('a = dict(\n')
    code, text = tool('train.py', file)
    assert code == 2
    assert text.startswith(f'error: config {file} cannot be read: SyntaxError')


def test_a_launcher_that_started_nothing_is_a_mistake(train, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    code, text = train('--launcher', 'pytorch')
    assert code == 2
    assert '--launcher pytorch is for processes that were started together' in text


def test_a_work_dir_goes_through_all_its_states(train, tmp_path):
    """Trained, refused, finished, refused for a mistake, overwritten, prolonged."""
    run = tmp_path / 'run'
    assert train() == (0, '')
    assert not list(run.glob('run.lock'))
    first = _files(run)
    code, text = train()
    assert (code, _files(run)) == (2, first)
    assert text == (
        f'error: {run} holds a run (epoch_1.pth): give --resume to continue, '
        '--overwrite to start again, or another --work-dir'
    )

    assert train('--resume')[0] == 0
    # One log or two, as the second may be the same.
    logs = ''.join(path.read_text() for path in run.glob('*/*.log'))
    assert f'{run} is already finished (1 of 1 epochs)' in logs
    assert logs.count('Epoch(train)') == 2
    assert (run / 'epoch_1.pth').read_bytes() == first['epoch_1.pth']

    assert train('--overwrite', train_dataloader__dataset__data='no')[0] == 2
    assert (run / 'epoch_1.pth').read_bytes() == first['epoch_1.pth']

    (run / 'epoch_7.pth').write_bytes(first['epoch_1.pth'])
    (run / '20260131_235959').mkdir()
    (run / '20260131_235959/20260131_235959.log').write_text('')
    assert train('--overwrite', randomness__seed=3) == (0, '')
    assert not (run / 'epoch_7.pth').exists()
    (log,) = run.glob('*/*.log')  # of this start alone
    assert 'Epoch(train)' in log.read_text()
    assert load_file(run / 'epoch_1.pth')['meta']['seed'] == 3


def test_no_room_for_a_checkpoint_is_a_mistake(train, monkeypatch):
    monkeypatch.setattr('shutil.disk_usage', lambda _: type('', (), dict(free=999)))
    code, text = train()
    assert code == 2
    assert text.startswith('error: a checkpoint needs 0.00')
    assert ', and 1e-06 GB are free at ' in text


def test_too_little_memory_ends_with_code_3(train, monkeypatch):
    def fail(*_, **__):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')

    monkeypatch.setattr('ccmim.methods.CCMIM.loss', fail)
    code, text = train()
    assert code == 3
    assert text == (
        'error: the GPU memory does not suffice at step 1, 2.00 GiB more were needed: '
        'train_dataloader.batch_size=2 with optim_wrapper.accumulative_counts=4 keeps '
        'the same effective batch (with fewer keys for the contrast)'
    )


def test_a_bug_in_a_step_keeps_its_traceback(train, monkeypatch, tmp_path):
    def fail(*_, **__):
        raise ValueError('a bug')

    monkeypatch.setattr('ccmim.methods.CCMIM.loss', fail)
    with pytest.raises(ValueError, match='a bug'):
        train()
    assert list((tmp_path / 'run').glob('*/*.log'))  # the step was begun


def test_classes_that_do_not_fit_are_found_before_the_model_is_built(
    tool, request, tmp_path, monkeypatch
):
    """In a run of the detector on the toy scenes, whose file has other categories."""
    monkeypatch.setenv('CCMIM_TOY', str(tmp_path))
    (tmp_path / 'annotations').mkdir()
    content = dict(
        images=[dict(id=1, file_name='a.jpg', width=9, height=9)],
        annotations=[dict(image_id=1, category_id=1, bbox=[1, 1, 5, 5])],
        categories=[dict(id=1, name='leaf')],
    )
    for stage in ('training', 'validation'):
        file = tmp_path / f'annotations/instances_{stage}.json'
        file.write_text(json.dumps(content))
    monkeypatch.setattr('mmdet.models.MaskRCNN.__init__', None)
    config = request.config.rootpath / 'mm_configs/demo/mask_rcnn_toy.py'
    code, text = tool('train.py', config, '--work-dir', tmp_path / 'run')
    assert code == 2
    file = f'{tmp_path}/annotations/instances_training.json'
    assert text.startswith(f"error: {file}: class 'striped_blob' is no category ")
    assert 'the file has leaf; asked for are striped_blob, dotted_star, ' in text
    assert not (tmp_path / 'run').exists()


def test_testing_ends_in_the_same_way(tool, request, tmp_path):
    config = request.config.rootpath / 'mm_configs/pretrain/ccmim_vitb.py'
    code, text = tool('test.py', config, tmp_path / 'x.pth', '--cfg-options', 'modl=3')
    assert (code, text) == (2, 'error: unknown key modl: did you mean model?')
    code, text = tool('test.py', config, tmp_path / 'x.pth')
    assert code == 2
    assert 'has nothing to test' in text
