"""The commands as a new user runs them, on a handful of photos."""

import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import ParamSchedulerHook

import ccmim as library
from ccmim.apps.cli import demo
from ccmim.vit import VisionTransformer

FEW = ['--epochs', '1', '--batch-size', '4', '--image-size', '32']


@pytest.mark.slow
def test_from_photos_to_a_backbone_and_a_report(ccmim, image_folder, tmp_path):
    """It estimates, trains, exports; resuming continues; a second run is refused."""
    out = tmp_path / 'run'
    (image_folder / 'empty.jpg').touch()
    options = ['--cfg-options', 'train_dataloader.num_workers=0',
               'train_dataloader.persistent_workers=False']  # fmt: skip
    code, said, error = ccmim('pretrain', image_folder, '--out', out, *FEW, *options)
    assert code == 0, error
    assert 'damaged    1: 1 empty' in said
    assert 'ViT-Ti/16 at 32 px, batch 4' in said
    assert '1 epochs = 2 steps' in said
    assert 'Estimate     about ' in said
    assert said.index('Estimate') < said.index('Epoch(train)') < said.index('Done.')
    assert 'System environment' not in said, 'the long listings are in the log alone'
    backbone, run = (
        library.get_model(out / name)
        for name in ('backbone.safetensors', 'epoch_1.pth')
    )
    assert all(v.equal(run.state_dict()[k]) for k, v in backbone.state_dict().items())
    assert '<html' in (out / 'report.html').read_text()

    code, said, _ = ccmim('report', out, '--out', tmp_path / 'page.html')
    assert code == 0
    assert said.splitlines()[-1].startswith('1 run, '), 'after what get_model logged'
    assert '<html' in (tmp_path / 'page.html').read_text()

    begun = ['pretrain', image_folder, '--out', out, *FEW, *options]
    code, said, _ = ccmim(*begun)
    assert code == 0
    assert 'already finished (1 of 1 epochs)' in said
    code, _, error = ccmim('pretrain', image_folder, '--out', out)
    assert code == 2
    assert f'of another command (ccmim pretrain {image_folder} ' in error
    assert '--resume continues' in error
    code, _, error = ccmim('pretrain', image_folder, '--out', out, '--resume', *FEW)
    assert code == 2
    assert '--image-size cannot change' in error
    code, said, _ = ccmim('pretrain', image_folder, '--out', out, '--resume')
    assert code == 0
    assert 'already finished (1 of 1 epochs)' in said


@pytest.mark.slow
def test_the_same_command_goes_on_after_ctrl_c(
    ccmim, image_folder, tmp_path, monkeypatch
):
    """From the step that it had reached, without another word."""
    words = ['pretrain', image_folder, '--out', tmp_path / 'run', *FEW]

    def press(hook, runner, *args, **kwargs):
        if runner.iter == 0:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ParamSchedulerHook, 'after_train_iter', press)
        code, said, _ = ccmim(*words)
    assert code == 130
    assert 'run the same ccmim command again' in said
    assert (tmp_path / 'run' / 'epoch_0_iter_1.pth').is_file()
    code, said, error = ccmim(*words)
    assert code == 0, error
    assert 'epoch_0_iter_1.pth, which is complete' in said
    assert 'Done.' in said
    # The Runner has written over it the config of a resumed run.
    assert Config.fromfile(tmp_path / 'run/recipe.py').resume is False


@pytest.fixture
def checkpoint(tmp_path):
    """A backbone as a run leaves it."""
    vit = VisionTransformer('tiny', img_size=32, patch_size=16)
    state = {f'backbone.{name}': value for name, value in vit.state_dict().items()}
    file = tmp_path / 'epoch_1.pth'
    # A run notes in `ccmim` what it was trained on.
    torch.save(dict(state_dict=state, meta=dict(ccmim=dict(num_images=8))), file)
    return file


@pytest.mark.parametrize('layout', ['timm', 'safetensors'])
def test_a_checkpoint_of_a_run_is_exported(ccmim, checkpoint, layout):
    """What a run notes of itself is not taken for a checksum of the file."""
    code, said, error = ccmim('export', checkpoint, '--to', layout)
    assert code == 0, error
    name = dict(timm='epoch_1_timm.pth', safetensors='epoch_1.safetensors')[layout]
    written = library.get_model(checkpoint.with_name(name)).state_dict()
    own = library.get_model(checkpoint).state_dict()
    assert all(value.equal(own[name]) for name, value in written.items())
    code, _, error = ccmim('export', checkpoint, '--to', layout)
    assert code == 2
    assert '--overwrite replaces it' in error
    assert ccmim('export', checkpoint, '--to', layout, '--overwrite')[0] == 0


def test_the_demo_is_the_quickstart(ccmim, tmp_path, monkeypatch):
    """The fast one, unless it is asked for in full; its report is told."""
    pytest.importorskip('mmdet')
    told = []
    monkeypatch.setattr(demo, 'run_tool', lambda *words: told.append(words) or 0)
    code, said, _ = ccmim('demo', '--out', tmp_path)
    assert code == 0
    assert f'Open {tmp_path}/report.html' in said
    assert ccmim('demo', '--full', '--images', tmp_path, '--out', tmp_path)[0] == 0
    assert told == [
        ('quickstart', ['--out', tmp_path, '--fast'], False),
        ('quickstart', ['--out', tmp_path, '--images', tmp_path], False),
    ]


@pytest.mark.slow
def test_the_doctor_looks_at_everything(ccmim):
    code, said, _ = ccmim('doctor')
    assert code == int('everything that is needed works' not in said)
    assert '  python  ' in said
    assert ' torch ' in said


def test_check_finds_a_damaged_photo(ccmim, class_folders, tmp_path):
    (class_folders / 'dog' / 'x.jpg').write_bytes(b'')
    listed = tmp_path / 'bad.txt'
    code, said, _ = ccmim('check', class_folders, '--out', listed, '--workers', 1)
    assert code == 1
    assert 'class folders: k-NN and linear probe, no split' in said
    assert '21 images: 20 good, 1 bad' in said
    assert listed.read_text().endswith('x.jpg\tempty\n')
    (class_folders / 'dog' / 'x.jpg').unlink()
    assert ccmim('check', class_folders, '--workers', 1)[0] == 0


def test_check_says_why_labels_are_not_taken(ccmim, map_folder, coco_folder):
    code, said, _ = ccmim('check', map_folder, '--workers', 1)
    assert '9 images: 9 good, 0 bad' in said, 'maps are no photos'
    assert code == 0
    file = coco_folder / 'annotations.json'
    file.write_text(file.read_text().replace('"bbox": [8, 8', '"bbox": [800, 8', 1))
    code, said, _ = ccmim('check', coco_folder, '--workers', 1)
    outside = 'boxes that lie outside their image (mmdet leaves them out): 1'
    assert code == 1
    assert f'PROBLEM: {outside}' in said
    assert '10 images: 10 good, 0 bad' in said
    assert said.index('PROBLEM') < said.index('square '), 'before the classes'


@pytest.mark.slow
def test_a_wheel_holds_all_that_the_command_needs(request, image_folder, tmp_path):
    """Built from a copy, installed into a folder, and run far from the checkout."""
    root = request.config.rootpath
    source = tmp_path / 'source'
    source.mkdir()
    names = ['ccmim', 'mm_configs', 'tools', 'requirements', 'model-index.yml']
    names += ['pyproject.toml', 'README.md', 'LICENSE']
    subprocess.run(['cp', '-a', *(root / name for name in names), source], check=True)
    pip = [sys.executable, '-m', 'pip', '-q', '--disable-pip-version-check']
    build = ['wheel', '--no-deps', '--no-build-isolation', '-w', tmp_path, source]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = tmp_path.glob('*.whl')
    held = set(zipfile.ZipFile(wheel).namelist())
    configs = [p.relative_to(root) for p in root.glob('mm_configs/**/*.py')]
    assert {f'ccmim/.mim/{path}' for path in configs} <= held
    assert not [name for name in held if name.endswith('.pyc')]
    target = tmp_path / 'site'
    subprocess.run([*pip, 'install', '--no-deps', '-t', target, wheel], check=True)
    command = [target / 'bin' / 'ccmim', 'pretrain', image_folder]
    env = {'PYTHONPATH': str(target), 'PATH': '/usr/bin:/bin', 'OMP_NUM_THREADS': '1'}
    words, options = [*command, '--out', 'run', *FEW], dict(env=env, cwd=tmp_path)
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'run' / 'backbone.safetensors').is_file()
    assert str(root) not in done.stdout + done.stderr
    assert Path(target / 'ccmim/.mim/mm_configs').is_dir()
