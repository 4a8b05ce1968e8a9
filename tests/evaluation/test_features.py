"""Features are the pooled tokens of the backbone as it is used later."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import ImgDataPreprocessor
from torch.utils.data import DataLoader

from ccmim.classification import LabeledImages
from ccmim.evaluation import extract_features
from ccmim.evaluation import kept_features as kept_features_file
from ccmim.evaluation.kept_features import kept_features

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
    features, _ = extract_features(vit, iter(batches), pool='average', block=0)
    maps = tiny_vit(out_indices=(0,))
    maps.load_state_dict(vit.state_dict())
    expected = torch.cat([maps(b['inputs'])[0].mean((2, 3)) for b in batches])
    torch.testing.assert_close(features, expected)


def test_normalized_features_have_length_one(tiny_vit, batches):
    vit, batches = tiny_vit(), [{**b, 'inputs': b['inputs'] / 255} for b in batches]
    plain, scaled = (extract_features(vit, batches, normalize=n)[0] for n in (0, 1))
    torch.testing.assert_close(scaled, F.normalize(plain))
    assert not torch.allclose(plain.norm(dim=1), torch.ones(3))


def test_features_in_bf16_are_near_those_in_float32(tiny_vit, batches):
    vit, batches = tiny_vit(), [{**b, 'inputs': b['inputs'] / 255} for b in batches]
    plain, short = (
        extract_features(vit, batches, dtype=dtype)[0]
        for dtype in ('float32', 'bfloat16')
    )
    assert short.dtype == torch.float32
    assert not torch.equal(plain, short)
    assert (plain - short).norm() < 0.02 * plain.norm()
    for name, other in dict(dtype='half', pool='max').items():
        with pytest.raises(ValueError, match=f"{name}='{other}' must be"):
            extract_features(vit, batches, **{name: other})


def test_kept_features_are_computed_once_for_each_photo(
    tiny_vit, image_folder, tmp_path, monkeypatch
):
    """In whatever set it is; a damaged photo shows another one, and nothing is kept."""
    options = dict(
        preprocess=ImgDataPreprocessor(mean=[127.0] * 3, std=[50.0] * 3), pool='class'
    )
    steps = [
        dict(type='ResizeCenterCrop', size=64, crop_ratio=1.0),
        dict(type='ToUint8Tensor'),
    ]
    counts = []

    def counting(backbone, loader, *args, **kwargs):
        counts.append(len(loader.dataset))
        return extract_features(backbone, loader, *args, **kwargs)

    def found(vit, settings='', ratio=1.0):
        images = LabeledImages(
            str(image_folder), steps, label_ratio=ratio, max_bad_ratio=0.5
        )
        loader = DataLoader(images, 3)
        kept = kept_features(tmp_path / 'kept', vit, settings, loader, **options)
        plain = extract_features(vit, loader, **options)
        for one, other in zip(kept, plain, strict=True):
            torch.testing.assert_close(one, other)

    monkeypatch.setattr(kept_features_file, 'extract_features', counting)
    vit = tiny_vit()
    found(vit, ratio=0.5)
    found(vit)
    found(vit)
    assert counts == [4, 4]  # of eight photos
    found(vit, settings='other')
    vit.norm.bias.data += 1
    found(vit)
    assert counts == [4, 4, 8, 8]
    sorted(image_folder.rglob('*.jpg'))[0].write_bytes(b'no photo')
    for _ in range(2):
        found(vit)
    assert counts == [4, 4, 8, 8, 1, 1]
