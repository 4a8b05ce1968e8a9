"""Features are the pooled tokens of the backbone as it is used later."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import ImgDataPreprocessor

from ccmim.evaluation import extract_features

LABELS = [torch.tensor([2, 0]), torch.tensor([1])]


@pytest.fixture
def batches():
    """Two batches of bytes with labels, the last one smaller."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (3, 3, 64, 64), generator=generator, dtype=torch.uint8)
    parts = zip((pixels[:2], pixels[2:]), LABELS, strict=True)
    return [dict(inputs=inputs, labels=labels) for inputs, labels in parts]


@pytest.mark.parametrize('pool', ['class', 'average', 'both'])
def test_features_are_those_of_single_images(tiny_vit, batches, pool):
    """Normalized on the way, without stochastic depth, without a gradient."""
    vit = tiny_vit(drop_path_rate=0.9).train()
    preprocess = ImgDataPreprocessor(mean=[127.0] * 3, std=[50.0] * 3)
    features, labels = extract_features(vit, batches, preprocess, pool)
    assert vit.training
    assert labels.tolist() == [2, 0, 1]
    assert not features.requires_grad
    vit.eval()
    images = torch.cat([batch['inputs'] for batch in batches]).float()
    for image, feature in zip(images, features, strict=True):
        tokens = vit.encode(vit.embed((image[None] - 127) / 50))[0]
        token, average = tokens[0], sum(tokens[1:]) / 16
        expected = {'class': token, 'average': average}
        expected['both'] = torch.cat([token, average])
        torch.testing.assert_close(feature, expected[pool], rtol=1e-4, atol=1e-4)


def test_features_after_a_block_are_its_tokens(tiny_vit, batches):
    batches = [{**b, 'inputs': b['inputs'] / 255} for b in batches]
    vit = tiny_vit()
    features, _ = extract_features(vit, batches, pool='average', block=0)
    maps = tiny_vit(out_indices=(0,))
    maps.load_state_dict(vit.state_dict())
    expected = torch.cat([maps(b['inputs'])[0].mean((2, 3)) for b in batches])
    torch.testing.assert_close(features, expected)


def test_normalized_features_have_length_one(tiny_vit, batches):
    batches = [{**b, 'inputs': b['inputs'] / 255} for b in batches]
    plain, _ = extract_features(tiny_vit(), batches)
    scaled, _ = extract_features(tiny_vit(), batches, normalize=True)
    torch.testing.assert_close(scaled.norm(dim=1), torch.ones(3))
    assert not torch.allclose(plain.norm(dim=1), torch.ones(3))
    assert F.normalize(plain).shape == scaled.shape


def test_another_pool_is_refused(tiny_vit, batches):
    with pytest.raises(ValueError, match='pool'):
        extract_features(tiny_vit(), batches, pool='max')
