"""Pictures of features: what is alike looks alike, what is found is there."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ccmim.pictures import (
    attention_sheet,
    color_sheet,
    head_attention,
    map_figure,
    nearest_patches,
    neighbor_sheet,
    principal_colors,
    project,
)
from ccmim.pictures.patch_neighbors import salient_patches


def test_heads_average_to_the_class_attention(tiny_vit, images):
    vit = tiny_vit()
    heads = head_attention(vit, images, block=1)
    assert heads.shape == (4, 2, 16)
    assert not torch.allclose(heads[:, 0], heads[:, 1])
    mean = vit.class_attention(vit.embed(images), [1])[:, 0]
    torch.testing.assert_close(heads.mean(dim=1), mean)
    torch.testing.assert_close(head_attention(vit, images, -1), heads)
    with pytest.raises(ValueError, match=r'block=2 must lie in \[0, 1\]'):
        head_attention(vit, images, 2)


def test_heads_with_relative_positions(tiny_vit, images):
    vit = tiny_vit(rel_pos_bias=True, pos_embed='none')
    for block in vit.blocks:
        torch.nn.init.normal_(block.attn.relative_position_bias_table)
    mean = vit.class_attention(vit.embed(images), [0])[:, 0]
    torch.testing.assert_close(head_attention(vit, images, 0).mean(dim=1), mean)


def test_colors_mean_the_same_in_all_images():
    """Three groups of patches, spread over images, get three colors."""
    centers, groups = 5 * torch.randn(3, 12), torch.randint(0, 3, (4, 30))
    groups[0] = 0  # one image alone does not say what varies
    features = centers[groups] + 0.01 * torch.randn(4, 30, 12) + 100
    colors, again = principal_colors(features, features[1:2])
    assert colors.min() == 0
    assert colors.max() == 1
    torch.testing.assert_close(again[0], colors[1])
    means = torch.stack([colors[groups == g][:, :2].mean(0) for g in range(3)])
    spread = max(colors[groups == g][:, :2].std(0).max() for g in range(3))
    assert torch.cdist(means, means)[~torch.eye(3, dtype=bool)].min() > 20 * spread


def test_planted_neighbors_are_found():
    features = torch.randn(5, 20, 16)
    features[3, 7] = features[0, 2] + 0.05 * torch.randn(16)
    features[1, 11] = features[0, 2] + 0.5 * torch.randn(16)
    features += 30  # what all have in common
    cosines, patches = nearest_patches(features, torch.tensor([0]), torch.tensor([2]))
    assert cosines[0].argsort(descending=True)[:2].tolist() == [3, 1]
    assert patches[0, [3, 1]].tolist() == [7, 11]
    assert cosines[0, 3] > 0.95
    assert cosines[0, 0] == -2
    features[2, 4] += 50
    assert salient_patches(features)[2] == 4


def test_map_by_principal_components_and_by_a_library(monkeypatch):
    line = torch.linspace(0, 1, 50)[:, None] * torch.tensor([[3.0, 4, 0, 0]])
    places, name = project(line + 0.001 * torch.randn(50, 4), 'pca')
    assert name == 'PCA'
    assert abs(np.corrcoef(places[:, 0], line[:, 0])[0, 1]) > 0.999
    assert places.min() == 0
    assert places.max() == 1
    for module in ('sklearn', 'sklearn.manifold', 'umap'):
        monkeypatch.setitem(sys.modules, module, None)
    assert project(line)[1] == 'PCA'
    with pytest.raises(ValueError, match='UMAP needs umap-learn: pip install'):
        project(line, 'umap')

    def tsne(**options):
        assert options['perplexity'] == pytest.approx(49 / 3)
        return SimpleNamespace(fit_transform=lambda x: x[:, :2])

    monkeypatch.setitem(sys.modules, 'sklearn', SimpleNamespace())
    monkeypatch.setitem(sys.modules, 'sklearn.manifold', SimpleNamespace(TSNE=tsne))
    assert project(line)[1] == 't-SNE'
    with pytest.raises(ValueError, match='2 images make no map'):
        project(line[:2])


def test_sheets_of_any_backbone(tiny_vit, builder):
    vit = tiny_vit().eval()
    photos = torch.randint(0, 256, (5, 3, 64, 96), dtype=torch.uint8)  # another size
    attention = attention_sheet(vit, photos, side=96)
    assert attention.shape[1] == 2 * 14 + 4 * 102 - 6  # image, mean and two heads
    assert color_sheet(vit, photos, side=96).std() > 10
    found = neighbor_sheet(vit, photos, rows=2, count=3, side=96)
    assert found.shape[1] == 2 * 14 + 4 * 102 - 6
    figure = map_figure(vit, photos, 'pca', batch=2)
    assert '5 images by their features (PCA' in figure.axes[0].get_title('left')
    with pytest.raises(ValueError, match='at least two images'):
        neighbor_sheet(vit, photos[:1])
