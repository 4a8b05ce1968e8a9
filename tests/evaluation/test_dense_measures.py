"""Clusters, found objects and intervals are what slow loops say."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import box_iou

from ccmim.evaluation import dense_features, judging, retrieval
from ccmim.evaluation.clusters import (
    assign,
    cluster_overlaps,
    fit_clusters,
    match_classes,
)
from ccmim.evaluation.dense_features import DenseFeatures, compute_dense
from ccmim.evaluation.discovery import LastKeys, corloc_hits, find_boxes, find_object
from ccmim.evaluation.judging import Judgment, _linear, judge
from ccmim.evaluation.kept_judgment import kept_judgment
from ccmim.evaluation.labeled_photos import LabeledPhotos, Photo
from ccmim.evaluation.linear import fit_linear
from ccmim.evaluation.resampling import difference_range, figure
from ccmim.evaluation.samples import Hits, Likeness, Mean, Overlaps


def test_clusters_far_apart_are_found_and_are_their_means():
    torch.manual_seed(0)
    centers = 10 * torch.eye(4)[:, :3] - 5
    names = torch.arange(4).repeat(25)
    features = centers[names] + 0.1 * torch.randn(100, 3)
    found = fit_clusters(features, 4, seed=1)
    ids = assign(features, found)
    for k in range(4):
        own = features[names == k]
        assert len(set(ids[names == k].tolist())) == 1
        torch.testing.assert_close(found[ids[names == k][0]], own.mean(0))
    with pytest.raises(ValueError, match='3 patches cannot fill 4 clusters'):
        fit_clusters(features[:3], 4)
    few = fit_clusters(features[:4], 4, steps=0)
    assert torch.equal(few.unique(dim=0), features[:4].unique(dim=0))
    alike = torch.tensor([[2.0, 1.0]] * 5)  # the second cluster stays empty
    assert torch.equal(fit_clusters(alike, 2), alike[:2])


def test_clusters_begin_as_k_means_plus_plus_and_move_by_lloyds_steps():
    torch.manual_seed(3)
    features, generator = 0.3 * torch.randn(30, 2), torch.Generator().manual_seed(5)
    ids = torch.randint(30, (1,), generator=generator).tolist()
    for _ in range(11):
        far = torch.cdist(features, features[ids]).amin(1).double().square().cumsum(0)
        draw = torch.rand(1, generator=generator, dtype=torch.double) * far[-1]
        ids.append(int((far < draw).sum()))
    centers = features[ids]
    for steps in range(4):
        found = fit_clusters(features, 12, 5, steps)
        torch.testing.assert_close(found, centers)
        near = torch.cdist(features, centers).argmin(1)
        centers = torch.stack([features[near == k].mean(0) for k in range(12)])


def test_classes_of_clusters_are_the_best_ones():
    overlaps = torch.tensor([[9.0, 8, 0], [9, 1, 1], [0, 9, 0]])
    best = max(
        itertools.permutations(range(3)),
        key=lambda p: sum(overlaps[i, c].item() for i, c in enumerate(p)),
    )
    assert match_classes(overlaps).tolist() == list(best)
    assert match_classes(overlaps[:2]).tolist() == [0, 0]


def test_clusters_are_judged_by_the_pixels_of_their_patches():
    features = (
        torch.eye(2).int().repeat(2, 3, 1)
    )  # two images of six patches, two kinds
    counts = torch.tensor([[4.0, 0], [0, 4]]).repeat(2, 3, 1)
    counts[0, 0], counts[1, 1] = torch.tensor([1, 3]), torch.tensor([0, 0])
    right, united, ids = cluster_overlaps(features, counts, 2)
    assert right.tolist() == [[9, 12], [12, 8]]
    assert united.tolist() == [[12, 15], [12, 8]]
    assert len(ids.unique()) == 2
    # Fitted to every fourth: those two kinds are told apart, the many others are not.
    kinds = torch.eye(3)[torch.tensor([0, 2, 2, 2, 1, 2, 2, 2, 0, 2, 2, 2])][None]
    _, _, ids = cluster_overlaps(kinds, counts.flatten(0, 1)[None], 2, fitted=3)
    assert ids[0, 0] == ids[0, 8] != ids[0, 4]


def _lost(keys, grid):
    """As published: https://arxiv.org/abs/2109.14279, section 3, in plain Python."""
    count = len(keys)
    dot = [[float(a @ b) for b in keys] for a in keys]
    degree = [sum(dot[i][j] > 0 for j in range(count) if j != i) for i in range(count)]
    order = sorted(range(count), key=lambda i: degree[i])
    seed = order[0]
    grown = [i for i in order[:100] if dot[seed][i] > 0]
    inside = {i for i in range(count) if sum(dot[s][i] for s in grown) > 0}
    part, todo = set(), [seed]
    while todo:
        i = todo.pop()
        if i in part or i not in inside:
            continue
        part.add(i)
        row, column = divmod(i, grid[1])
        todo += [i - grid[1]] * (row > 0) + [i + grid[1]] * (row < grid[0] - 1)
        todo += [i - 1] * (column > 0) + [i + 1] * (column < grid[1] - 1)
    rows, columns = zip(*(divmod(i, grid[1]) for i in part), strict=True)
    return min(rows), min(columns), max(rows) + 1, max(columns) + 1


def test_an_object_is_found_as_published():
    torch.manual_seed(2)
    for i in range(10):  # of signs many are not correlated at all
        keys = torch.randn(30, 4).sign() if i % 2 else 0.3 * torch.randn(30, 4)
        assert find_object(keys, (5, 6)) == _lost(keys, (5, 6))
    torch.manual_seed(38)
    keys = torch.randn(120, 8)  # here the 101st patch would make it larger
    assert find_object(keys, (10, 12)) == _lost(keys, (10, 12))
    short = (300 * keys[None]).half()  # whose products are beyond float16
    boxes = [find_boxes(k, (10, 12), (10, 12), 1).tolist() for k in (short, keys[None])]
    assert boxes[0] == boxes[1]
    # Patches unlike the ground: three in the middle; at the end, beyond the photo.
    for patches, fractions in (
        ([8, 9, 15], [4 / 11, 2 / 9, 8 / 11, 6 / 9]),
        ([22, 23, 29], [8 / 11, 6 / 9, 1, 1]),
    ):
        keys = torch.tensor([1.0, 0, 0.1]).repeat(30, 1)
        keys[patches] = torch.tensor([-0.1, 1, 0])
        box = find_boxes(keys[None], (5, 6), (9, 11), 2)[0]
        assert box.tolist() == pytest.approx(fractions)


def test_a_box_hits_an_object_that_it_overlaps_enough():
    ours, theirs = torch.rand(2, 99, 2, 2).sort(2).values.flatten(2)
    found = corloc_hits(ours, theirs.split([1] * 99), 0.2)
    assert torch.equal(found, (box_iou(ours, theirs).diagonal() >= 0.2).float())
    some = torch.tensor([[0.0, 0, 0.5, 1]]), torch.tensor([[0.0, 0, 1, 1]])
    assert corloc_hits(some[0], [torch.cat([theirs[:1], some[1]])]).tolist() == [1]
    assert corloc_hits(some[0], [torch.zeros(0, 4)]).isnan()


@pytest.mark.parametrize(('registers', 'attention'), [(0, 'lisa'), (2, 'softmax')])
def test_keys_are_those_of_the_last_block(tiny_vit, images, registers, attention):
    arch = dict(embed_dim=32, depth=3, num_heads=2)
    vit = tiny_vit(arch=arch, reg_tokens=registers, attention=attention).eval()
    with LastKeys(vit) as keys:
        vit.encode(vit.embed(images))
        found = keys.take()
    x = vit.start(vit.embed(images))
    for block in vit.blocks[:2]:
        x = block(x, grid=(4, 4))
    expected = vit.blocks[2].norm1(x)[:, 1 + registers :]
    if attention == 'softmax':  # the other has no keys
        expected = vit.blocks[2].attn.qkv(expected)[..., 32:64]
    torch.testing.assert_close(found, expected)
    assert not vit.blocks[-1]._forward_pre_hooks


def test_soft_labels_are_fitted_as_so_many_hard_ones():
    torch.manual_seed(0)
    features = torch.randn(20, 3).double()
    hard = torch.tensor([0, 1] * 20)
    both = fit_linear(features.repeat_interleave(2, 0), hard)
    soft = fit_linear(features, torch.full((20, 2), 0.5).double())
    torch.testing.assert_close(soft, both, atol=1e-6, rtol=0)


def test_samples_are_means_over_the_images_that_are_drawn():
    counts = np.array([[1, 1, 1], [2, 0, 1]])
    hits = Hits(np.array([1.0, np.nan, 0.0]))
    assert hits.figures(counts).tolist() == pytest.approx([50, 200 / 3])
    features = np.array([[1.0, 0], [0, 3], [1, 1]])
    root = 0.5**0.5
    found = Likeness(features).figures(counts)
    assert found.tolist() == pytest.approx([2 * root / 3, root])
    parts = Overlaps(np.eye(3), np.ones((3, 3))), Overlaps(np.eye(3), np.eye(3))
    assert figure(Mean(parts)) == pytest.approx((100 / 3 + 100) / 2)
    low, high = difference_range(Hits(np.ones(50)), Hits(np.zeros(50)))
    assert (low, high) == (100, 100)


@pytest.mark.parametrize(
    ('training', 'size', 'dtype'), [(True, 3, 'float32'), (False, 1, 'bfloat16')]
)
def test_features_of_photos_leave_the_network_as_it_was(
    tiny_vit, images, training, size, dtype
):
    vit = tiny_vit(drop_path_rate=0.5).train(training)
    images = torch.cat([images, images.flip(3)[:1]])
    photos = [SimpleNamespace(pixels=lambda size, x=x: x) for x in images]
    found = compute_dense(vit, photos, (64, 64), lambda x: x, True, size, dtype)
    assert vit.training == training
    with torch.no_grad():
        tokens = vit.eval().encode(vit.embed(images))
    near = dict(rtol=0, atol=2e-3 if dtype == 'float32' else 0.1)
    torch.testing.assert_close(found.photos, tokens[:, 0], **near)
    torch.testing.assert_close(found.patches, tokens[:, 1:].half(), **near)


def test_what_is_kept_is_of_names_shapes_types_and_values():
    one = torch.ones(2, 3, requires_grad=True)
    others = dict(x=one), dict(y=one), dict(x=one.T), dict(x=one.int()), dict(x=2 * one)
    assert len({dense_features.digest_of_state(state, None) for state in others}) == 5


def _photos(points, labels):
    features = DenseFeatures(None, torch.tensor(points), None, (1, 1), (16, 16), 16)
    return features, [Photo(Path(), label=label) for label in labels]


def test_photos_are_judged_by_their_twenty_nearest():
    """Ten of one class are a hair nearer than eleven of the other: ten count."""
    near, far = ([math.cos(a), math.sin(a)] for a in (0.1, 0.101))
    train, known = _photos([near] * 10 + [far] * 11, [1] * 10 + [0] * 11)
    test, asked = _photos([[1.0, 0.0]], [1])
    judgment = judge(LabeledPhotos(('a', 'b'), known, asked), train, test)
    assert judgment.figures['knn'] == 100


@pytest.mark.parametrize(
    'change', ['label', 'boxes', 'map', 'classes', 'k', 'code', None]
)
def test_a_judgment_is_kept_for_what_it_is_of(tmp_path, monkeypatch, change):
    def ask(k=3, label=1, boxes=0.5, map=1, classes='ab'):
        size = (16, 16)
        photo = Photo(
            Path(), label, torch.full((1, 4), boxes), lambda: np.full(size, map)
        )
        features = DenseFeatures(*torch.ones(3, 1, 4), (1, 1), size, 16)
        photos = LabeledPhotos(tuple(classes), [photo], [photo])
        return kept_judgment(tmp_path, photos, features, features, k, 9, ())

    answers = iter([Judgment(dict(knn=1.0), {}), Judgment(dict(knn=2.0), {})])
    monkeypatch.setattr(f'{kept_judgment.__module__}.judge', lambda *_: next(answers))
    assert ask().figures == ask().figures == dict(knn=1.0)
    others = dict(label=0, boxes=0.4, map=0, classes='ac', k=4)
    if change == 'code':
        monkeypatch.setattr(Path, 'read_bytes', lambda _: b'measured otherwise')
    again = ask(**{name: value for name, value in others.items() if name == change})
    assert again.figures == dict(knn=2.0 if change else 1.0)


def test_a_judgment_is_that_of_its_measures_and_is_read_as_it_was_written(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(judging, 'MANY', 270)  # patches there are
    maps = torch.randint(3, (21, 3, 5)).kron(torch.ones(1, 2, 2).long())
    patches, counts = torch.randn(21, 15, 4).half(), retrieval.class_counts(maps, 2, 3)
    photos = [Photo(Path(), draw=lambda m=m: m.numpy()) for m in maps]
    labeled = LabeledPhotos(('a', 'b', 'c'), photos[:3], photos[3:])
    parts = [
        DenseFeatures(p, p[:, 0].float(), p[:, 0], (3, 5), (6, 10), 2)
        for p in (patches[:3], patches[3:])
    ]
    noise = torch.rand(3, 15, generator=torch.Generator().manual_seed(0))
    shares = retrieval.soft_labels(counts[:3])
    kept = retrieval.choose_patches(shares, 7, noise)
    known, queries = F.normalize(patches[:3][kept].float()), patches[3:].flatten(0, 1)
    votes = retrieval.look_up(known, shares[kept], queries.float(), 5).view(18, 15, 3)
    pixels = retrieval.to_pixels(votes, (3, 5), (6, 10), 2)
    several = {
        name: [cluster_overlaps(patches[3:], counts[3:], n, seed) for seed in range(3)]
        for name, n in (('clusters', 3), ('overclusters', 270))
    }
    several['retrieval'] = [retrieval.count_overlaps(pixels, maps[3:], 3)]
    for _ in range(2):
        found = kept_judgment(tmp_path, labeled, *parts, 5, memory=22, shown=[1, 16])
        assert torch.equal(torch.stack(found.segmented), pixels[[1, 16]])
        assert torch.equal(found.clustered[1], several['clusters'][0][2][16])
        for name, runs in several.items():
            expected = [figure(Overlaps(r.numpy(), u.numpy())) for r, u, *_ in runs]
            both = found.figures[name], figure(found.samples[name])
            assert both == pytest.approx((np.mean(expected),) * 2)
    one = LabeledPhotos(('a',), photos[:1], photos[:1])
    assert (one.has_maps, one.has_boxes, one.has_labels) == (True, False, False)
    monkeypatch.setattr(judging, 'MANY', 3)
    assert 'overclusters' not in judge(labeled, *parts, 5).figures
    with pytest.raises(ValueError, match=r'k=4 must lie in \[1, 3\]'):
        judging.retrieve(labeled, *parts, 4, memory=2)  # at least one of each photo


def test_a_linear_probe_learns_what_one_channel_says():
    torch.manual_seed(0)
    patches = torch.randn(400, 3) * torch.tensor([0.01, 30.0, 1.0]) + 5
    patches[::2, 0] = 5  # of all: every second would be of one class
    classes = (patches[:, 0] > 5.004).long()
    found = _linear(patches, F.one_hot(classes).float())(patches).argmax(1)
    assert (found == classes).float().mean() > 0.98
