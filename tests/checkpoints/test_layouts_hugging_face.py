"""Models of transformers become ours and back, with equal features."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ccmim.checkpoints import Weights, architecture_of, read_weights, write_weights
from ccmim.checkpoints.layouts import LAYOUTS
from ccmim.checkpoints.normalization import Pixels, declared_pixels, pixels_of_run
from ccmim.vit import sincos_pos_embed
from tests.checkpoints.networks import difference, draw

transformers = pytest.importorskip('transformers')
SIZES = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96,
    image_size=64,
)  # fmt: skip


def tokens_of(model, **options):
    return lambda images: model(images, **options).last_hidden_state


@pytest.mark.parametrize('options', [dict(), dict(qkv_bias=False, layer_norm_eps=1e-3)])
def test_a_folder_of_a_vit(tmp_path, images, options):
    model = draw(transformers.ViTModel(transformers.ViTConfig(**SIZES, **options)))
    model.save_pretrained(tmp_path / 'vit')
    weights = read_weights(tmp_path / 'vit')
    assert 'layout hf (as its keys say)' in weights.report[0]
    assert weights.report[1] == '  left out, of the classifier: pooler.* (2)'
    assert any("normalized by ImageNet's mean" in line for line in weights.report)
    assert weights.architecture.norm_eps == options.get('layer_norm_eps', 1e-12)
    assert weights.architecture.hidden_dim == 96
    assert difference(weights, tokens_of(model), images) < 1e-5


def test_a_folder_of_a_classifier_with_shards(tmp_path, images):
    config = transformers.ViTConfig(**SIZES)
    model = draw(transformers.ViTForImageClassification(config))
    model.save_pretrained(tmp_path / 'vit', max_shard_size='20KB')
    assert len(list((tmp_path / 'vit').glob('*.safetensors'))) > 1
    weights = read_weights(tmp_path / 'vit')
    assert weights.report[1] == '  left out, not of vit: classifier.* (2)'
    assert difference(weights, tokens_of(model.vit), images) < 1e-5


def test_a_folder_of_a_pretrained_mae(tmp_path, images):
    sizes = {f'decoder_{k}': 16 for k in ('hidden_size', 'intermediate_size')}
    counts = {f'decoder_num_{k}': 1 for k in ('hidden_layers', 'attention_heads')}
    config = transformers.ViTMAEConfig(**SIZES, **sizes, **counts, mask_ratio=0.0)
    model = transformers.ViTMAEForPreTraining(config).eval()
    # As in the published files; what the class starts with depends on its version.
    model.vit.embeddings.position_embeddings.data = sincos_pos_embed(32, (4, 4))
    model.save_pretrained(tmp_path / 'mae')
    weights = read_weights(tmp_path / 'mae')
    assert weights.architecture.pos_embed == 'sincos'
    assert weights.report[1].startswith('  left out, not of vit: decoder.* (')
    # With no patch hidden, in the order in which noise puts them.
    theirs = tokens_of(model.vit, noise=torch.arange(16.0).expand(4, 16))
    assert difference(weights, theirs, images) < 1e-5


def test_a_pipeline_of_transformers_takes_the_folder_as_it_is(tmp_path, tiny_vit):
    """With the normalization of the weights; the card says how."""
    vit = tiny_vit(pos_embed='learned').eval()
    pixels = Pixels((128.0,) * 3, (64.0,) * 3)
    weights = Weights(vit.state_dict(), architecture_of(vit), [], pixels)
    write_weights(weights, tmp_path / 'vit', 'hf')
    photo = Image.effect_noise((64, 64), 60).convert('RGB')
    pipeline = transformers.pipeline(
        'image-feature-extraction', model=str(tmp_path / 'vit'), device='cpu'
    )
    (found,) = pipeline(photo)
    images = (torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] - 128.0) / 64
    with torch.no_grad():
        expected = vit.encode(vit.embed(images))[0]
    assert (torch.tensor(found) - expected).abs().max() < 1e-3
    again = read_weights(tmp_path / 'vit')
    assert again.pixels.std == pytest.approx((64,) * 3, abs=1e-3)
    card = (tmp_path / 'vit/README.md').read_text()
    assert 'Width 32, depth 2, 2 heads, patches of 16 px' in card
    told = json.loads((tmp_path / 'vit/preprocessor_config.json').read_text())
    assert (told['do_resize'], told['do_rescale'], told['resample']) == (True, True, 3)
    told = json.loads((tmp_path / 'vit/config.json').read_text())
    assert told['hidden_dropout_prob'] == told['attention_probs_dropout_prob'] == 0


def test_from_pretrained_loads_what_is_written(tmp_path, tiny_vit, images, read):
    weights = read(draw(tiny_vit(pos_embed='learned', norm_eps=1e-5)).state_dict())
    lines = write_weights(weights, tmp_path / 'vit', 'hf')
    assert '38 tensors, layout hf' in lines[0]  # three for each joined weight and bias
    model, info = transformers.ViTModel.from_pretrained(
        tmp_path / 'vit', output_loading_info=True
    )
    assert set(info['missing_keys']) == {'pooler.dense.weight', 'pooler.dense.bias'}
    assert not info['unexpected_keys']
    assert not info['mismatched_keys']
    assert difference(weights, tokens_of(model.eval()), images) < 1e-5
    back = read_weights(tmp_path / 'vit')
    assert back.architecture == weights.architecture
    assert all(torch.equal(back.state[k], v) for k, v in weights.state.items())


CLIP = [0.48145466, 0.4578275, 0.40821073]


@pytest.mark.parametrize('whole', [True, False])
def test_normalization_beside_weights_counts_when_mean_and_std_are_given(
    tmp_path, whole
):
    said = dict(image_mean=CLIP) | (dict(image_std=[0.5] * 3) if whole else {})
    (tmp_path / 'preprocessor_config.json').write_text(json.dumps(said))
    found = declared_pixels({}, tmp_path)
    mean = [122.7709, 116.746, 104.0937]  # 255 times, to four decimals
    assert found == (dict(mean=mean, std=[127.5] * 3) if whole else {})


@pytest.mark.parametrize('std', ['4.0, 5.0, 6.0', ''])
def test_normalization_of_a_run_is_in_its_config(std):
    text = f'model = dict(data_preprocessor=dict(mean=[1.0, 2.0, 3.0], std=[{std}]))'
    found = pixels_of_run(dict(meta=dict(config_text=text)))
    assert found == (dict(mean=[1, 2, 3], std=[4, 5, 6]) if std else {})
    units = dict(
        mean=[0.003922, 0.007843, 0.011765], std=[0.015686, 0.019608, 0.023529]
    )
    assert not std or Pixels.of(found).in_units() == units
    assert not std or Pixels.of(found).as_lists() == found
    for odd in ([0, 1, 1], [1e6, 1, 1], [1, 1], 'abc', [1, 1, None]):
        assert Pixels.of(dict(mean=[1, 2, 3], std=odd)) == Pixels()


CONFIGS = (
    'hf ViT, hf-clip CLIPVision, hf-dinov2 Dinov2, hf-dinov3 DINOv3ViT, hf-eomt Eomt, '
    'hf-eomt-dinov3 EomtDinov3, hf-siglip SiglipVision'
)


@pytest.mark.parametrize(('layout', 'name'), map(str.split, CONFIGS.split(',')))
def test_what_a_file_does_not_say_is_as_transformers_has_it(layout, name):
    theirs = getattr(transformers, f'{name}Config')()
    usual = LAYOUTS[layout].usual
    assert usual['norm_eps'] == theirs.layer_norm_eps
    act = dict(gelu_pytorch_tanh='gelu_tanh').get(theirs.hidden_act, theirs.hidden_act)
    assert usual.get('act', 'gelu') == act
    assert ('rotary' in usual.values()) == ('dinov3' in layout)
    shown = dict(CLIPVision='CLIP', SiglipVision='Siglip').get(name)
    if shown:  # else ImageNet's, or not known
        looks = getattr(transformers, f'{shown}ImageProcessor')()
        for key, values in (('mean', looks.image_mean), ('std', looks.image_std)):
            assert usual[key] == pytest.approx([255 * x for x in values], abs=1e-4)
