"""What of a transfer is done is known by what it was done with; GPUs by their names."""

import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config
from safetensors.torch import save_file

from ccmim.apps.cli import transfer
from ccmim.apps.cli.best_models import best_models
from ccmim.apps.cli.by_name import find_captions
from ccmim.apps.cli.transfer_plan import Planned
from ccmim.apps.compare import Score
from ccmim.checkpoints import Weights, architecture_of, load_file, write_weights
from ccmim.evaluation.resampling import write_samples
from ccmim.evaluation.samples import Classified
from ccmim.vit import VisionTransformer
from tests.apps.cli.conftest import photo


@pytest.fixture
def checkpoint(tmp_path):
    vit = VisionTransformer('tiny', img_size=32, patch_size=16)
    state = {f'backbone.{name}': value for name, value in vit.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'last.pth')
    return tmp_path / 'last.pth'


@pytest.fixture
def stage(ccmim, checkpoint, class_folders, monkeypatch):
    """Make a function that gives the only stage of a command."""
    planned = []
    keep = lambda chains, *_: planned.extend(chains)  # noqa: E731
    monkeypatch.setattr(transfer, 'run_stages', keep)

    def stage(*words, data=class_folders):
        code, _, error = ccmim('transfer', checkpoint, '--data', data, *words)
        assert code == 0, error
        ((only,),) = planned
        planned.clear()
        return only

    return stage


@pytest.fixture
def cached(hub_cache):
    """Put tiny networks of timm and of transformers into a cache; gives their names."""
    theirs = timm.create_model('test_vit')
    folder = hub_cache('timm/test_vit.r160_in1k')
    save_file(theirs.state_dict(), folder / 'model.safetensors')
    sizes = dict(embed_dim=32, depth=4, num_heads=2)
    vit = VisionTransformer(sizes, 56, patch_size=14, pos_embed='learned')
    weights = Weights(vit.state_dict(), architecture_of(vit), [])
    write_weights(weights, hub_cache('me/vit.14'), 'hf', overwrite=True)
    return {'timm:test_vit.r160_in1k': theirs, 'hf:me/vit.14': vit}


NAMES = [
    ('timm:test_vit.r160_in1k', 'timm_test_vit.r160_in1k', (64, 6, 2), 16, 160, 127.5),
    ('hf:me/vit.14', 'hf_me_vit.14', (32, 4, 2), 14, 56, 123.675),
]


@pytest.mark.parametrize(('name', 'folder', 'arch', 'patch', 'side', 'mean'), NAMES)
def test_a_name_in_the_cache_is_all_that_a_transfer_needs(
    ccmim, cached, class_folders, map_folder, tmp_path, monkeypatch,
    name, folder, arch, patch, side, mean,
):  # fmt: skip
    """Sizes, weights and the normalization of images are those of the name."""
    pytest.importorskip('mmseg')
    monkeypatch.chdir(tmp_path)
    planned = []
    monkeypatch.setattr(
        transfer, 'run_stages', lambda chains, *_: planned.extend(chains)
    )
    out = tmp_path / 'work_dirs' / f'{folder}_transfer_fast'
    words = [name, '--data', class_folders, map_folder, '--fast']
    code, said, error = ccmim('transfer', *words)
    assert code == 0, error
    assert f'Read {name}: ' in said
    probe = Config.fromfile(out / 'configs/my classes.py').model
    dense = Config.fromfile(out / 'configs/ade.py').model
    for model in (probe, dense):
        own = model.backbone.arch
        assert (own.embed_dim, own.depth, own.num_heads) == arch
        assert model.data_preprocessor.mean[0] == pytest.approx(mean)
    assert (probe.backbone.patch_size, probe.backbone.img_size) == (patch, side)
    assert dense.backbone.patch_size == 16
    assert bool(dense.backbone.init_cfg.get('resize_patch')) == (patch == 14)
    file = out / 'weights.safetensors'
    assert planned[0][0].command[1] == file
    assert planned[-1][0].command[-1] == f'model.backbone.init_cfg.checkpoint={file}'
    state, theirs = load_file(file), cached[name].state_dict()
    assert all(torch.equal(state[key], theirs[key]) for key in state)


@pytest.mark.slow
def test_a_name_is_transferred_to_the_end(
    ccmim, cached, class_folders, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, said, error = ccmim('transfer', 'hf:me/vit.14', '--data', class_folders)
    assert code == 0, error
    file = Path('work_dirs/hf_me_vit.14_transfer/probes/my classes/accuracies.json')
    found = json.loads(file.read_text())
    rows = dict(re.findall(r'^\| (random|checkpoint) \| ([\d.]+) \|', said, re.M))
    assert rows == {name: f'{values["k=16"]:.1f}' for name, values in found.items()}
    assert found['random'] != found['checkpoint']


def _do(stage):
    stage.begin()
    stage.result.write_text('{}')
    stage.finish()


def test_a_probe_is_done_once_for_the_same_weights_and_data(stage):
    first = stage()
    _do(first)
    assert stage().is_done


@pytest.mark.parametrize('change', ['weights', 'data', 'classes', 'fast'])
def test_a_probe_of_something_else_is_another_one(
    stage, checkpoint, class_folders, tmp_path, change
):
    """Of the same name, in the same folder."""
    out, data, words = ['--out', tmp_path / 'out'], class_folders, []
    first = stage(*out)
    _do(first)
    if change == 'weights':
        os.utime(checkpoint, (1, 1))
    elif change == 'data':
        data = tmp_path / 'elsewhere' / class_folders.name
        shutil.copytree(class_folders, data)
    elif change == 'classes':
        (class_folders / 'dog').rename(class_folders / 'wolf')
    else:
        words = ['--fast']
    again = stage(*out, *words, data=data)
    assert again.result == first.result
    assert not again.is_done


def _captions(folder, count):
    lines = [f'{i}.jpg,number {i}' for i in range(count)]
    (folder / 'said.csv').write_text('\n'.join(['image,caption', *lines]))


def test_words_are_tested_where_the_weights_know_some(
    ccmim, checkpoint, class_folders, tmp_path, monkeypatch
):
    """Classes by their names, photos by their captions; what guessing finds beside."""
    folder, out = tmp_path / 'told', tmp_path / 'out'
    (folder / 'images').mkdir(parents=True)
    for i in range(12):
        photo(folder / f'images/{i}.jpg', i)
    _captions(folder, 12)
    words = ['transfer', checkpoint, '--out', out, '--data', folder]
    code, _, error = ccmim(*words)
    assert code == 2
    assert f'{folder} holds captions alone, and {checkpoint} knows no words' in error
    content = torch.load(checkpoint)
    content['state_dict']['tokenizer.vocabulary'] = torch.ones(9)
    torch.save(content, checkpoint)
    commands = {}

    def run_stages(chains, *_):
        for (stage,) in chains:
            name = stage.result.parent.name
            found = {} if stage.result.name != 'names.json' else FOUND[name]
            commands[name, stage.result.name] = stage.command
            stage.begin()
            stage.result.write_text(json.dumps(found))
            stage.finish()

    monkeypatch.setattr(transfer, 'run_stages', run_stages)
    code, said, error = ccmim(*words, class_folders)
    assert code == 0, error
    assert 'told             captions in said.csv: retrieval, on every tenth' in said
    given = ['--data', folder / 'images', '--captions', folder / 'said.csv']
    command = commands['told', 'names.json']
    assert command[:-1] == ['tools/zero_shot.py', checkpoint, *given] + [
        *('--part', 'test', '--out')
    ]
    for row in (
        '|  | my classes: zero-shot | told: text R@1 | told: image R@5 |',
        '| random | 50.0 | 1.0 | 5.0 |',
        '| checkpoint | 90.0 | 30.0 | 40.0 |',
    ):
        assert row in said


CHANCE = {'chance text R@1': 1.0, 'chance image R@5': 5.0}
FOUND = {'told': {'text R@1': 30.0, 'image R@5': 40.0, **CHANCE}}
FOUND['my classes'] = {'zero-shot': 90.0, 'chance': 50.0}


def test_captions_of_a_test_set_are_taken_whole(tmp_path):
    """COCO's, beside its instances; of few photos all are taken too."""
    assert find_captions(tmp_path) is None
    (tmp_path / 'notes.txt').write_text('nothing, of images')
    (tmp_path / 'annotations').mkdir()
    for split in ('train2017', 'val2017'):
        (tmp_path / split).mkdir()
        (tmp_path / split / f'{split[:2]}.jpg').touch()
        image = dict(id=1, file_name=f'{split[:2]}.jpg')
        said = dict(image_id=1, id=1, caption='a cat')
        content = dict(images=[image], annotations=[said])
        file = tmp_path / f'annotations/captions_{split}.json'
        file.write_text(json.dumps(content))
    found = find_captions(tmp_path)
    assert found == (tmp_path / 'val2017', file, 'all')
    _captions(tmp_path / 'train2017', 9)
    assert find_captions(tmp_path / 'train2017').part == 'all'
    _captions(tmp_path / 'train2017', 10)
    assert find_captions(tmp_path / 'train2017').part == 'test'


def test_a_curve_says_its_ends_and_its_test_images_once(
    ccmim, checkpoint, class_folders, tmp_path, monkeypatch
):
    """Every fraction is tested on the same photos; the model of all labels is named."""
    label = np.arange(4) % 2
    right = {'random linear': Classified(label, 1 - label)}
    right['checkpoint linear'] = Classified(label, label)

    def run_stages(chains, *_):
        ((*stages,),) = chains  # one by one, as they share features
        for stage in stages:
            assert '--folds' not in stage.command
            stage.begin()
            found = dict(random=dict(linear=0), checkpoint=dict(linear=100))
            stage.result.write_text(json.dumps(found))
            write_samples(right, stage.result.with_name('images.npz'))
            stage.result.with_name('linear.pth').touch()
            stage.finish()

    monkeypatch.setattr(transfer, 'run_stages', run_stages)
    words = ['--data', class_folders, '--fractions', '0.3', '0.6', '1']
    code, said, error = ccmim('transfer', checkpoint, *words)
    assert code == 0, error
    lead = '(+100.0 [+100.0, +100.0])'
    sentence = f'is ahead in linear with 30 % of the labels {lead} and linear with all '
    sentence += f'labels {lead}.'
    assert f'Against random: checkpoint {sentence}\n' in said
    page = (tmp_path / 'last_transfer/report.html').read_text()
    assert f'The pretrained network {sentence}' in page
    for text in (said, page):
        assert text.count('test images: one is') == 1
        assert 'my classes: 4 test images: one is 25 points.' in text


def test_the_best_model_is_told_by_masks_then_by_boxes(tmp_path):
    """The first is chosen where all are the same; what is undefined is left out."""
    figures = [(0.0, 0.5), (0.0, 2.0), (0.01, 1.0), (float('nan'), 1.0)]
    scores, trained = [], []
    for seed, values in enumerate(figures):
        file = tmp_path / f'{seed}.pth'
        file.touch()
        trained += [('random', 'pets', seed, file), ('checkpoint', 'pets', seed, file)]
        for metric, value in zip(('mask AP', 'box AP'), values, strict=True):
            scores.append(Score('checkpoint', 'pets', seed, metric, value))
    plan = Planned({}, {}, {}, {}, {}, {})
    best = best_models(plan, SimpleNamespace(trained=lambda: trained), scores)
    _, what, file = best['pets']
    assert what == 'pets, seed 1: mask AP 0.0, box AP 2.0'
    assert file == tmp_path / '1.pth'


def test_a_fast_one_has_a_folder_of_its_own(stage, checkpoint):
    folders = [stage(*words).result.parents[2] for words in ([], ['--fast'])]
    names = [folder.name for folder in folders]
    assert names == ['last_transfer', 'last_transfer_fast']


@pytest.mark.parametrize(
    ('given', 'jobs', 'expected'),
    [
        (None, None, ['0', '1']),
        ('2,3', None, ['2', '3']),
        ('2,3', 3, ['2', '3', '2']),
        ('GPU-8f,GPU-1a', 1, ['GPU-8f']),
    ],
)
def test_stages_share_the_gpus_that_the_command_was_given(
    monkeypatch, given, jobs, expected
):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if given:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', given)
    slots = transfer._slots(jobs)
    assert [slot['CUDA_VISIBLE_DEVICES'] for slot in slots] == expected


def test_probes_of_the_same_photos_run_one_by_one_the_largest_first():
    parts = {'a': {'a_10pct': 0.1, 'a': 1.0}, 'b': {'b': 1.0}, 'maps': {'maps': 1.0}}
    probes = dict(zip(('a', 'a_10pct', 'b'), 'xyz', strict=True))
    plan = Planned({}, parts, probes, {}, {}, {})
    assert plan.probe_chains() == [['x', 'y'], ['z']]
