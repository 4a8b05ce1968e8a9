"""Zero-shot tests against loops, and from a checkpoint to figures."""

import itertools
import json

import pytest
import torch
from PIL import Image

from ccmim.api.zero_shot import load_flip, retrieve, zero_shot
from ccmim.engine.config import read_config
from ccmim.engine.launch import build_runner
from ccmim.evaluation import (
    class_vectors,
    retrieval_chance,
    retrieval_recall,
    zero_shot_accuracy,
)


def test_against_loops():
    torch.manual_seed(0)
    images, texts = torch.nn.functional.normalize(torch.randn(2, 12, 4), dim=2)
    owner = torch.tensor([0, 0, 1, 2, 3, 3, 3, 4, 5, 5, 0, 2])
    images = images[:6]
    found = retrieval_recall(images, texts, owner, ks=(1, 3))
    alike = (images @ texts.T).tolist()
    for k in (1, 3):
        hits = 0
        for i in range(6):
            order = sorted(range(12), key=lambda j: -alike[i][j])
            hits += any(owner[j] == i for j in order[:k])
        assert found[f'text R@{k}'] == pytest.approx(100 * hits / 6)
        hits = 0
        for j in range(12):
            order = sorted(range(6), key=lambda i: -alike[i][j])
            hits += owner[j].item() in order[:k]
        assert found[f'image R@{k}'] == pytest.approx(100 * hits / 12)
    same = images[:1].expand(6, 4)  # all alike: nothing is found
    assert retrieval_recall(same, texts, owner, ks=(1,))['image R@1'] == 0
    assert retrieval_recall(images, texts[:1].expand(12, 4), owner)['text R@1'] == 0
    classes = class_vectors(texts, 4)
    expected = torch.stack([texts[3 * k : 3 * k + 3].mean(0) for k in range(4)])
    torch.testing.assert_close(classes, expected / expected.norm(dim=1, keepdim=True))
    labels = (images @ classes.T).argmax(1) * torch.tensor([1, 1, 1, 1, 0, 0])
    right = sum(
        max(range(4), key=lambda k: float(images[i] @ classes[k])) == labels[i]
        for i in range(6)
    )
    assert zero_shot_accuracy(images, classes, labels) == pytest.approx(100 * right / 6)


def test_chance_is_the_mean_of_random_orders():
    """By counting: an image's captions among all subsets of k."""
    owner = torch.tensor([0, 0, 0, 1, 2])
    found = retrieval_chance(owner, ks=(1, 2, 9))
    subsets = [*itertools.combinations(owner.tolist(), 2)]
    hits = [sum(i in subset for subset in subsets) / len(subsets) for i in range(3)]
    assert found['text R@2'] == pytest.approx(100 * sum(hits) / 3)
    assert found['text R@1'] == pytest.approx(100 * (3 + 1 + 1) / 5 / 3)
    assert found['image R@2'] == pytest.approx(200 / 3)
    assert found['text R@9'] == found['image R@9'] == 100


@pytest.mark.slow
def test_a_run_learns_the_names_of_colors(tmp_path, request, run_tool):
    """Trained, resumed from, tuned without masks: the tool tells red from blue."""
    root, rng = request.config.rootpath, torch.Generator().manual_seed(0)
    for name, color in (('red', (220, 30, 30)), ('blue', (30, 30, 220))):
        (tmp_path / 'data' / name).mkdir(parents=True)
        for i in range(8):
            shift = torch.randint(-25, 25, (3,), generator=rng).tolist()
            pixel = tuple(c + s for c, s in zip(color, shift, strict=True))
            Image.new('RGB', (32, 32), pixel).save(
                tmp_path / 'data' / name / f'{i}.png'
            )

    def run(leaf, **options):
        cfg = read_config(f'{root}/mm_configs/small/{leaf}.py', str(tmp_path / leaf))
        cfg.model.backbone.arch = dict(embed_dim=32, depth=2, num_heads=2)
        cfg.default_hooks.update(probe=None, pictures=None)
        cfg.train_dataloader.dataset.data = str(tmp_path / 'data')
        cfg.train_dataloader.update(batch_size=8, num_workers=0)
        cfg.merge_from_dict(options)
        build_runner(cfg).train()
        return tmp_path / leaf / f'epoch_{cfg.train_cfg.max_epochs}.pth'

    checkpoint = run('flip_vitt_cifar10', train_cfg=dict(max_epochs=12))
    tuned = run(
        'flip_vitt_cifar10_unmasked',
        train_cfg=dict(max_epochs=2),
        load_from=str(checkpoint),
    )
    words = [load_flip(f).tokenizer.vocabulary for f in (checkpoint, tuned)]
    assert torch.equal(*words)
    for file in (checkpoint, tuned):
        found = zero_shot(file, tmp_path / 'data', ['a {}'])
        assert found == {'zero-shot': 100.0, 'chance': 50.0}
    rows = 'red/0.png,a red\nblue/0.png,a blue\n'
    (tmp_path / 'x.csv').write_text(f'image,caption\n{rows}')
    found = retrieve(checkpoint, tmp_path / 'data', tmp_path / 'x.csv')
    assert found['text R@1'] == found['image R@1'] == 100
    assert found['chance text R@1'] == found['chance image R@1'] == 50
    words = [checkpoint, '--data', tmp_path / 'data', '--out', tmp_path / 'x.json']
    code, said, _ = run_tool('zero_shot.py', *words)
    assert code == 0
    assert said.splitlines()[-1] == 'zero-shot 100.0  chance 50.0'
    assert json.loads((tmp_path / 'x.json').read_text())['zero-shot'] == 100
