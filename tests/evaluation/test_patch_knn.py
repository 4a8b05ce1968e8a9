"""The retrieval of any segmentation config is that of `ccmim judge`."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from ccmim.evaluation import judging
from ccmim.evaluation.dense_features import DenseFeatures
from ccmim.evaluation.judging import retrieve
from ccmim.evaluation.labeled_photos import LabeledPhotos, Photo
from ccmim.evaluation.linear import fit_probe
from ccmim.evaluation.patch_knn import (
    labeled_maps,
    remember_patches,
    retrieval_overlaps,
)


def test_features_are_the_normed_tokens_of_patches_with_a_class(tiny_vit, images):
    vit = tiny_vit(drop_path_rate=0.9).train()
    maps = torch.zeros(4, 64, 64).long()
    maps[:, 16:32, :16] = 255  # the fifth patch
    maps[:, :12, 48:] = 1  # three quarters of the fourth
    features, shares = remember_patches(vit, [(images, maps)], 2)
    assert (
        remember_patches(vit, [(images, maps)], 2, 'bfloat16')[0].dtype == torch.float
    )
    assert vit.training
    vit.eval()
    tokens = vit.encode(vit.embed(images))[:, 1:]
    torch.testing.assert_close(features, tokens[:, torch.arange(16) != 4].flatten(0, 1))
    expected = [0, 0, 0, 0.75] + [0] * 11
    assert shares[:, 1].view(4, 15).tolist() == [expected] * 4
    torch.testing.assert_close(shares.sum(1), torch.ones(60))


def test_images_are_taken_evenly_and_prepared_as_in_a_test():
    def sample(i):
        maps = SimpleNamespace(data=torch.full((1, 4, 4), i))
        truth = SimpleNamespace(gt_sem_seg=maps)
        return dict(inputs=torch.full((3, 8, 8), i), data_samples=truth)

    def preprocess(batch, training=True):
        assert not training
        return dict(batch, inputs=torch.stack(batch['inputs']))

    taken = list(labeled_maps([sample(i) for i in range(5)], preprocess, 3))
    assert [int(image.max()) for image, _ in taken] == [0, 2, 4]
    assert all(torch.equal(m, image[:, 0]) for image, m in taken)


def test_a_probe_of_many_patches_is_fitted_to_some(monkeypatch):
    monkeypatch.setattr(judging, '_FITTED', 13)
    torch.manual_seed(0)
    patches, classes = torch.randn(50, 4), torch.arange(50) % 3
    some = fit_probe(patches[::4], classes[::4]).scores(patches).float()
    found = judging._linear(patches, F.one_hot(classes).float())(patches)
    torch.testing.assert_close(found, some, rtol=0, atol=0.02)


def test_overlaps_are_those_of_judge(tiny_vit, images, tmp_path, monkeypatch):
    vit = tiny_vit().eval()
    maps = torch.randint(0, 4, (4, 8, 8)).kron(torch.ones(1, 8, 8).long())
    maps[maps == 3] = 255
    with torch.no_grad():
        tokens = vit.encode(vit.embed(images))[:, 1:]
    photos = [Photo(tmp_path, draw=lambda m=m: m.numpy()) for m in maps]
    parts = [
        DenseFeatures(tokens[part], None, None, (4, 4), (64, 64), 16)
        for part in (slice(2), slice(2, 4))
    ]
    labeled = LabeledPhotos(('a', 'b', 'c'), photos[:2], photos[2:])
    expected = retrieve(labeled, *parts, k=5)
    known = remember_patches(vit, [(images[:2], maps[:2])], 3)
    batches = [(images[i : i + 1], maps[i : i + 1]) for i in (2, 3)]
    right, united = retrieval_overlaps(vit, batches, *known, k=5)
    assert right.tolist() == expected.shared.tolist()
    assert united.tolist() == expected.united.tolist()
    with pytest.raises(ValueError, match='k=99 must lie in'):
        retrieval_overlaps(vit, batches, *known, k=99)
    first = retrieval_overlaps(vit, batches, *known, 5, 'bfloat16', tmp_path / 'kept')
    assert len(list((tmp_path / 'kept').iterdir())) == 2
    monkeypatch.setattr(vit, 'encode', None)
    again = retrieval_overlaps(vit, batches, *known, 5, 'bfloat16', tmp_path / 'kept')
    assert [t.tolist() for t in again] == [t.tolist() for t in first]
    other = [(image.view(1, 3, 32, 128), m) for image, m in batches]
    for asked, dtype in ((batches, 'float32'), (other, 'bfloat16')):
        with pytest.raises(TypeError):  # computed anew
            retrieval_overlaps(vit, asked, *known, 5, dtype, tmp_path / 'kept')
