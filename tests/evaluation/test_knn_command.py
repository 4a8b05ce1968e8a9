"""tools/knn.py measures a checkpoint."""

import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from ccmim.classification.predictor import ClassPredictor
from ccmim.dense.predictor import config_of
from ccmim.evaluation.resampling import figure, read_names, read_samples
from ccmim.vit import VisionTransformer

CONFIG = 'mm_configs/small/knn_vitt_cifar10.py'
OPTIONS = [
    f'{loader}_dataloader.{key}={value}'
    for loader in ('train', 'val')
    for key, value in dict(num_workers=0, persistent_workers=False).items()
]


@pytest.fixture
def knn(request, monkeypatch, run_tool, image_folder, tmp_path):
    """Make a function that runs the command on eight photos; what it says."""
    torch.manual_seed(5)
    vit = VisionTransformer('tiny', img_size=32, patch_size=4)
    state = {f'backbone.{name}': value for name, value in vit.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'epoch_1.pth')

    def knn(*words, config=CONFIG, checkpoint=tmp_path / 'epoch_1.pth'):
        monkeypatch.chdir(request.config.rootpath)
        code, said, error = run_tool(
            'knn.py', *([checkpoint] if checkpoint else []), '--config', config,
            '--train', image_folder, '--test', image_folder, *words,
            '--cfg-options', *OPTIONS,
        )  # fmt: skip
        assert code in (0, 2)
        return error if code else said

    return knn


def test_it_prints_a_line_for_the_checkpoint_and_one_for_chance(knn):
    """Each photo is its own nearest neighbor, so k=1 is right with any weights."""
    text = knn('--k', '1', '8', '--random', '--linear', '--pool', 'both')
    assert 'top-1 in percent, 8 and 8 images, both features' in text
    rows = re.findall(r'^(\w+) +k=1 (\S+) +k=8 +(\S+) +linear (\S+)$', text, re.M)
    assert [row[0] for row in rows] == ['random', 'checkpoint']
    assert all(float(row[1]) == float(row[3]) == 100 for row in rows)
    assert all(float(row[2]) < 100 for row in rows)
    alone = knn('--k', '8')
    assert 'random' not in alone
    assert 'linear' not in alone


def test_folds_test_each_photo_and_the_linear_classifier_is_kept(knn, tmp_path):
    words = ['--k', '1', '13', '--linear', '--folds', '3', '--per-image']
    text = knn(*words, tmp_path / 'i.npz', '--keep', tmp_path / 'linear.pth')
    assert '8 and 8 images in 3 folds, class' in text
    samples, names = (read(tmp_path / 'i.npz') for read in (read_samples, read_names))
    kinds = ['k=1', 'k=13', 'linear']  # a fold leaves twelve at most
    assert list(samples) == [f'checkpoint {kind}' for kind in kinds]
    assert len(names) == len(samples['checkpoint linear']) == 16
    # Each photo is there twice, and its copy is in another fold.
    assert figure(samples['checkpoint k=1']) == 100
    kept = tmp_path / 'linear.pth'
    predictor = ClassPredictor(config_of(kept), kept)
    assert predictor.classes == ['part0', 'part1']
    for name in names[:8]:
        found = predictor.classes[predictor(Image.open(name)).argmax()]
        assert found == Path(name).parent.name


def test_random_weights_need_no_checkpoint_and_figures_go_to_a_file(knn, tmp_path):
    text = knn('--k', '8', '--out', tmp_path / 'found.json', checkpoint=None)
    value = float(re.search(r'^random +k=8 (.*)$', text, re.M)[1])
    found = json.loads((tmp_path / 'found.json').read_text())
    assert found == {'random': {'k=8': pytest.approx(value, abs=0.01)}}


def test_features_are_taken_after_the_block_of_the_command_or_the_config(knn):
    words = '--k', '8', '--block'
    first, second = (knn(*words, block, checkpoint=None) for block in (0, 11))
    assert 'top-1 in percent, 8 and 8 images, class features after block 0\n' in first
    assert 'features after block 11\n' in second
    early = CONFIG.replace('.py', '_128px_block2.py')
    named = knn('--k', '1', config=early, checkpoint=None)
    assert 'features after block 2\n' in named


def test_a_nan_in_the_weights_gives_no_scores(knn, tmp_path):
    state = torch.load(tmp_path / 'epoch_1.pth')
    state['state_dict']['backbone.blocks.3.mlp.fc1.bias'][7] = torch.nan
    torch.save(state, tmp_path / 'nan.pth')
    text = knn('--k', '1', checkpoint=tmp_path / 'nan.pth')
    assert 'nan.pth: blocks.3.mlp.fc1.bias holds NaN' in text
    assert text.count('\n') == 1
