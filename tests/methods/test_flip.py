"""FLIP against a slow oracle, and what its parts must not do."""

import json
from pathlib import Path

import pytest
import torch

from ccmim.engine.settings import check_captions
from ccmim.losses import ImageTextContrast
from ccmim.text import TextTower
from ccmim.vit import VisionTransformer
from tests.golden import record_family as record
from tests.methods import oracles
from tests.tiny_methods import read

CAPTIONS = ['a dog', 'a cat on a mat', 'a dog', 'two dogs run on']


@pytest.fixture
def ready(tiny_flip):
    """Build a tiny FLIP that knows the words of the captions."""

    def build(**changes):
        model = tiny_flip(**changes)
        model.tokenizer.learn(CAPTIONS)
        return model

    return build


def _slow_text(tower, words, first):
    """Each caption alone, without its padding."""
    found = []
    for row in words:
        length = int((row > 0).sum())
        x = tower.words.weight[row[:length]] + tower.pos_embed[0, :length]
        x = x[None]
        for block in tower.blocks:
            x = oracles.slow_block(block, x)
        x = tower.norm(x)[0]
        found.append((x[0] if first else x.mean(0)) @ tower.projection.weight.T)
    return torch.stack(found)


def _slow_loss(u, v, scale):
    """Published: both ways, pair by pair."""
    total = 0.0
    for i in range(len(u)):
        for a, b in ((u, v), (v, u)):
            cosines = [(a[i] @ x) / a[i].norm() / x.norm() for x in b]
            logits = scale * torch.stack(cosines)
            log_p = (logits.exp() / logits.exp().sum()).log()
            total = total - log_p[i]
    return total / (2 * len(u))


@pytest.mark.parametrize('pool', ['first', 'average'])
def test_against_a_slow_oracle(ready, images, pool):
    """float64: the loss within 1e-10, gradients within 1e-9."""
    model = ready(text_tower=dict(pool=pool)).double()
    images, seen = images.double(), oracles.drawn(model)
    losses = model.loss(images, CAPTIONS)
    words = model.tokenizer(CAPTIONS)
    text = _slow_text(model.text_tower, words, pool == 'first')
    tokens = []
    for b, ids in enumerate(seen['split'].ids_visible.tolist()):
        x = _visible(model.backbone, images[b], ids)
        for block in model.backbone.blocks:
            x = oracles.slow_block(block, x)
        tokens.append(model.backbone.norm(x)[0].mean(0))
    image = torch.stack(tokens) @ model.projection.weight.T
    slow = _slow_loss(image, text, model.contrast.log_scale.exp())
    assert losses['loss_contrast'].item() == pytest.approx(slow.item(), abs=1e-10)
    scale = model.contrast.log_scale.exp().item()
    assert losses['scale'].item() == pytest.approx(scale)
    assert ImageTextContrast().log_scale.exp().item() == pytest.approx(1 / 0.07)
    oracles.assert_same_gradients(model, losses['loss_contrast'], slow, atol=1e-9)


def test_against_the_published_code():
    """Recorded by tests/golden/record_family.py: both towers and the loss, float32."""
    file = Path(record.__file__).with_name('family_published.json')
    recorded = json.loads(file.read_text())['flip']
    values = {
        name: record.weight(i, name, shape).float()
        for i, (name, shape) in enumerate(recorded['parameters'].items())
    }
    sizes = dict(embed_dim=record.DIM, depth=record.DEPTH, num_heads=record.HEADS)
    vit = VisionTransformer(sizes, img_size=record.SIZE, patch_size=record.PATCH)
    state = _published(values, 'img_encoder')
    state['cls_token'] = values['img_encoder/cls']
    kernel = values['img_encoder/embedding/kernel']  # (rows, columns, 3, D)
    state['patch_embed.proj.weight'] = kernel.permute(3, 2, 0, 1)
    state['patch_embed.proj.bias'] = values['img_encoder/embedding/bias']
    state['pos_embed'] = vit.state_dict()['pos_embed']  # fixed
    vit.load_state_dict(state)
    images = record.wave(1, record.PAIRS, record.SIZE, record.SIZE, 3).float()
    tokens = vit.encode(vit.embed(images.permute(0, 3, 1, 2)))
    u = tokens.mean(dim=1) @ values['img_mlp1/kernel']
    tower = TextTower(record.WORDS, record.CONTEXT, **sizes, out_dim=record.OUT)
    state = _published(values, 'txt_encoder')
    state['words.weight'] = values['txt_encoder/token_embedding/embedding']
    state['pos_embed'] = values['txt_encoder/posembed_encoder/pos_embedding']
    state['projection.weight'] = values['txt_mlp1/kernel'].T
    tower.load_state_dict(state)
    v = tower(record.captions())
    for ours, theirs in ((u, recorded['images']), (v, recorded['texts'])):
        ours = torch.nn.functional.normalize(ours, dim=1)
        torch.testing.assert_close(ours, torch.tensor(theirs), atol=2e-6, rtol=0)
    contrast = ImageTextContrast()
    contrast.log_scale.data.copy_(values['logit_scale'])
    found = contrast(u, v, record.captions())['loss_contrast']
    assert found.item() == pytest.approx(recorded['loss'], abs=1e-5)


def _published(values, tower):
    """Name the blocks of a published tower as ours."""

    def get(*name):
        return values['/'.join((tower, 'Transformer', *name))]

    state = {}
    for i in range(record.DEPTH):
        block, own = f'encoderblock_{i:02}', f'blocks.{i}'
        attn = f'{block}/MultiHeadDotProductAttention_0'
        joined = [(f'{attn}/{name}', 'attn.qkv') for name in ('query', 'key', 'value')]
        layers = [(f'{attn}/out', 'attn.proj')]
        layers += [(f'{block}/MlpBlock_0/Dense_{n}', f'mlp.fc{n + 1}') for n in (0, 1)]
        for theirs, ours in (*joined, *layers):
            bias = get(theirs, 'bias').flatten()
            weight = get(theirs, 'kernel').reshape(-1, len(bias)).T
            for kind, value in (('weight', weight), ('bias', bias)):
                state.setdefault(f'{own}.{ours}.{kind}', []).append(value)
        for n in (0, 1):
            for theirs, ours in (('scale', 'weight'), ('bias', 'bias')):
                value = get(block, f'LayerNorm_{n}', theirs)
                state[f'{own}.norm{n + 1}.{ours}'] = [value]
    state['norm.weight'] = [get('encoder_norm', 'scale')]
    state['norm.bias'] = [get('encoder_norm', 'bias')]
    return {name: torch.cat(parts) for name, parts in state.items()}


def _visible(vit, image, ids):
    rows = [vit.cls_token[0, 0] + vit.pos_embed[0, 0]]
    rows += [oracles.slow_embed(vit, image, i) + vit.pos_embed[0, 1 + i] for i in ids]
    return torch.stack(rows)[None]


@pytest.mark.parametrize(('log_scale', 'scale'), [(9.0, 100), (-1.0, 1)])
def test_the_scale_ends_at_100_and_an_equal_caption_is_right(log_scale, scale):
    contrast, texts = ImageTextContrast(), torch.eye(4)
    contrast.log_scale.data.fill_(log_scale)
    words = torch.tensor([[0], [1], [1], [3]])
    seen = contrast(texts[[0, 2, 1, 2]], texts, words)
    assert seen['scale'].item() == pytest.approx(scale)
    assert seen['top1_of_batch'] == 0.75


def test_at_no_mask_all_patches_are_seen(ready, images):
    model = ready(mask_ratio=0.0)
    losses = model.loss(images, CAPTIONS)
    assert 'mask_importance_gap' not in losses
    torch.manual_seed(5)
    again = model(images, captions=CAPTIONS, mode='loss')
    assert torch.equal(losses['loss_contrast'], again['loss_contrast'])
    u, v = model.encode_images(images), model.encode_captions(CAPTIONS)
    slow = _slow_loss(u, v, model.contrast.log_scale.exp())
    assert losses['loss_contrast'].item() == pytest.approx(slow.item(), abs=1e-5)
    with torch.autocast('cpu', torch.bfloat16):
        assert model.encode_captions(CAPTIONS).dtype == torch.float32
    words = model._words(images, None).flatten().tolist()  # to count operations
    assert words[:3] == [1, 2, 3]
    assert max(words) < model.tokenizer.num_words


def test_images_without_captions_are_refused():
    cfg = read('flip_vitt_cifar10')
    check_captions(cfg)
    cfg.train_dataloader.dataset.type = 'UnlabeledImages'
    with pytest.raises(ValueError, match='FLIP learns from captions, of which Unlab'):
        check_captions(cfg)
