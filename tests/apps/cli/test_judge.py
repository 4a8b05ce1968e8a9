"""Dense features of several weights side by side; mistakes before any is computed."""

import json
import shutil

import pytest
import torch
from PIL import Image

from ccmim.apps.cli import judge as command
from ccmim.evaluation import judging, kept_judgment
from ccmim.vit import VisionTransformer


@pytest.fixture
def weights(tmp_path):
    """Two files of a tiny network."""
    files = []
    for number in (0, 1):
        torch.manual_seed(number + 7)
        arch = dict(embed_dim=64, depth=2, num_heads=1)
        vit = VisionTransformer(arch, img_size=32, patch_size=8)
        files.append(tmp_path / f'run{number}' / 'last.pth')
        files[-1].parent.mkdir()
        torch.save(vit.state_dict(), files[-1])
    return files


def test_maps(ccmim, weights, map_folder, tmp_path, monkeypatch):
    """Each figure is there with its interval; again nothing is computed."""
    monkeypatch.setattr(judging, 'MANY', 10)
    out = tmp_path / 'out'
    words = ['judge', *weights, '--random', '--data', map_folder, '--out', out]
    code, said, error = ccmim(*words, '--k', 5)
    assert code == 0, error
    found = json.loads((out / 'judge.json').read_text())
    assert found['settings']['sizes'] == {
        'run0/last': [32, 32], 'run1/last': [32, 32], 'random': [32, 32],
    }  # fmt: skip
    figures = found['figures']
    assert list(figures) == ['run0/last', 'run1/last', 'random']
    kinds = {'retrieval', 'clusters', 'overclusters', 'linear', 'likeness', 'rank'}
    assert set(figures['random']) == kinds
    assert figures['random']['overclusters'] != figures['random']['clusters']
    assert 0 < figures['run0/last']['retrieval'] <= 100
    low, high = found['differences']['retrieval']['run1/last']
    both = [figures[f'run{i}/last']['retrieval'] for i in (1, 0)]
    assert low <= both[0] - both[1] <= high
    assert f'{both[0]:.2f}  {both[0] - both[1]:+.2f} [{low:+.2f}, {high:+.2f}]' in said
    for name in ('nearest.png', 'clusters.png'):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 100
    kept = sorted((out / 'features').iterdir())
    assert len(kept) == 6
    monkeypatch.setattr(command, 'compute_dense', None)
    monkeypatch.setattr(kept_judgment, 'judge', None)
    code, again, error = ccmim(*words, '--k', 5)
    assert code == 0, error
    assert again.splitlines()[-9:-2] == said.splitlines()[-9:-2]
    monkeypatch.undo()
    assert ccmim(*words, '--k', 6)[0] == 0
    assert len(list((out / 'judgments').iterdir())) == 6
    photo = next((map_folder / 'images' / 'training').iterdir())
    Image.new('RGB', (48, 48), 'red').save(photo)
    assert ccmim(*words, '--k', 5)[0] == 0
    assert len(list((out / 'features').iterdir())) == 9  # of training photos anew


def test_objects_and_classes(ccmim, weights, coco_folder, class_folders, tmp_path):
    """Things are classes, boxes are found; of photos with a class k-NN is left."""
    out = tmp_path / 'out'
    words = ['judge', weights[0], '--out', out, '--data']
    code, _, error = ccmim(*words, coco_folder, '--k', 5)
    assert code == 0, error
    found = json.loads((out / 'judge.json').read_text())
    assert found['classes'] == ['background', 'square']
    assert found['photos'] == dict(train=8, test=2)
    assert {'retrieval', 'discovery'} <= set(found['figures']['last'])
    assert (out / 'boxes.png').is_file()
    roundabout = tmp_path / 'other' / '..' / class_folders.name
    (tmp_path / 'other').mkdir()
    assert ccmim(*words, roundabout)[0] == 0
    found = json.loads((out / 'judge.json').read_text())
    assert set(found['figures']['last']) == {'knn', 'likeness', 'rank'}


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['{0}', '{0}'], '{0} is given twice'),
        (['{0}', '{copy}'], '{0} and {copy} are the same weights'),
        (['{0}', '--k', '99'], 'last remembers 96 patches of 6 photos: fewer than --k'),
        (['{0}', '--image-size', '30'], '--image-size 30 must be multiples of 8'),
        (
            ['{0}', '--image-size', '8', '--images', '2', '--k', '1'],
            '2 photos of 1 x 1 patches cannot fill 3 clusters',
        ),
        (['{0}', '--data', '{bare}'], 'bare holds no labels of a known layout'),
        (['{0}', '--data', '{one}'], 'one has one class only, road'),
    ],
)
def test_mistakes_are_told_before_features_are_computed(
    ccmim, weights, map_folder, tmp_path, monkeypatch, words, said
):
    monkeypatch.setattr(command, 'compute_dense', None)
    copy, bare, one = (tmp_path / name for name in ('copy.pth', 'bare', 'one'))
    shutil.copy(weights[0], copy)
    shutil.copytree(map_folder / 'images', bare)
    shutil.copytree(map_folder, one)
    (one / 'classes.txt').write_text('road\n')
    names = dict(copy=copy, bare=bare, one=one)
    words = [word.format(weights[0], **names) for word in words]
    if '--data' not in words:
        words += ['--data', map_folder]
    words += [] if '--k' in words else ['--k', 4]
    code, _, error = ccmim('judge', *words)
    assert code == 2
    assert said.format(weights[0], **names) in error
    assert error.startswith('error: ')
    assert error.count('\n') == 2
