"""EoMT is that of its authors: transformers' has the same logits, losses and masks."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from PIL import Image

from ccmim.checkpoints.eomt import load_eomt
from ccmim.dense.mask_annealing import kept_masks
from ccmim.registry import MODELS

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
transformers = pytest.importorskip('transformers')

WIDTH, QUERIES, CLASSES = 32, 6, 3
COSTS = [
    dict(type='mmdet.ClassificationCost', weight=2.0),
    dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
    dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
]
TRAIN = dict(
    num_points=112,
    assigner=dict(type='mmdet.HungarianAssigner', match_costs=COSTS),
    sampler=dict(type='mmdet.MaskPseudoSampler'),
)


def theirs(rotary=False, registers=2, patch=16, size=64, blocks=2):
    """Transformers' network of random weights, none of them as at the start."""
    options = dict(hidden_size=WIDTH, num_hidden_layers=4, num_attention_heads=2)
    options |= dict(image_size=size, patch_size=patch, num_register_tokens=registers)
    options |= dict(num_blocks=blocks, num_queries=QUERIES)
    options |= dict(num_upscale_blocks=2 if patch == 16 else 1)
    options |= dict(train_num_points=112, id2label=dict(enumerate('abc')))
    torch.manual_seed(3)
    if rotary:
        # Without the changed positions that DINOv3 trains with.
        options |= dict(intermediate_size=64, pos_embed_rescale=None)
        config = transformers.EomtDinov3Config(**options)
        model = transformers.EomtDinov3ForUniversalSegmentation(config)
    else:
        config = transformers.EomtConfig(mlp_ratio=2, **options)
        model = transformers.EomtForUniversalSegmentation(config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim == 1 or 'token' in name:
                value += 0.2 * torch.randn_like(value)
            elif value.ndim == 2:  # so that attention is not all but even
                value *= 0.2 / value.std()
        model.query.weight.mul_(5)
    return model


def ours(kind='EoMT', rotary=False, registers=2, patch=16, size=64, blocks=2, **head):
    backbone = dict(type='ccmim.VisionTransformer', img_size=size, patch_size=patch)
    backbone['arch'] = dict(embed_dim=WIDTH, depth=4, num_heads=2)
    backbone['pos_embed'] = 'rotary' if rotary else 'learned'
    backbone.update(mlp_ratio=2, layer_scale_init=1.0, reg_tokens=registers)
    head = dict(num_queries=QUERIES, num_blocks=blocks, **head)
    if kind == 'EoMT':
        scope, numbers = 'mmdet', dict(num_things_classes=CLASSES, num_stuff_classes=0)
        part, test = 'panoptic_head', dict(panoptic_on=False, instance_on=True)
        head['type'] = 'ccmim.EoMTHead'
    else:
        import ccmim.dense.eomt_segmentor  # noqa: F401

        scope, numbers = 'mmseg', dict(num_classes=CLASSES)
        part, test = 'decode_head', dict(mode='whole')
        head['type'] = 'ccmim.EoMTSemanticHead'
    import ccmim.dense.detection  # noqa: F401

    cfg = dict(type=f'ccmim.{kind}', backbone=backbone, train_cfg=TRAIN, test_cfg=test)
    cfg[part] = numbers | head
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(ConfigDict(cfg))


@pytest.fixture
def pair(tmp_path):
    """Make both networks with the same weights, through a file of theirs."""

    def make(kind='EoMT', authors=False, **options):
        source, model = theirs(**options), ours(kind, **options)
        state = dict(source.state_dict())
        torch.save(as_authors(state) if authors else state, tmp_path / 'theirs.bin')
        head = model.panoptic_head if kind == 'EoMT' else model.decode_head
        load_eomt(model.backbone, head, tmp_path / 'theirs.bin')
        return source, model, head

    return make


def as_authors(state):
    """Name transformers' tensors as the authors' files do, which have timm's ViT."""
    table = {
        'embeddings.cls_token': 'cls_token', 'embeddings.register_tokens': 'reg_token',
        'embeddings.patch_embeddings.projection': 'patch_embed.proj',
        'layernorm.': 'norm.', 'layers.': 'blocks.', 'attention.out_proj': 'attn.proj',
        'layer_scale1.lambda1': 'ls1.gamma', 'layer_scale2.lambda1': 'ls2.gamma',
    }  # fmt: skip
    outside = {
        'query': 'q', 'class_predictor': 'class_head', 'layernorm2d': 'norm',
        'upscale_block.block': 'upscale', 'mask_head.fc1': 'mask_head.0',
        'mask_head.fc2': 'mask_head.2', 'mask_head.fc3': 'mask_head.4',
    }  # fmt: skip
    named = {'criterion.empty_weight': state.pop('criterion.empty_weight')}
    named['network.attn_mask_probs'] = state.pop('attn_mask_probs')
    positions = state.pop('embeddings.position_embeddings.weight')
    named['network.encoder.backbone.pos_embed'] = positions[None]
    for name in [k for k in state if '.q_proj.' in k]:
        parts = [state.pop(name.replace('q_proj', f'{part}_proj')) for part in 'qkv']
        state[name.replace('attention.q_proj', 'attn.qkv')] = torch.cat(parts)
    for name, value in state.items():
        inside = name.startswith(('embeddings', 'layers', 'layernorm.'))
        for old, new in (table if inside else outside).items():
            name = name.replace(old, new)
        named[f'network.{"encoder.backbone." * inside}{name}'] = value
    return dict(state_dict=named)


def photos(height=64, width=64):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))


def close(found, wanted):
    most = max(1.0, wanted.abs().max().item())
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * most)


@pytest.mark.parametrize(
    'options',
    [
        *(dict(), dict(authors=True), dict(registers=0), dict(size=96, blocks=4)),
        dict(registers=4, patch=14, size=84, blocks=3),
        *(dict(rotary=True), dict(rotary=True, size=96, registers=4)),
        dict(kind='EoMTSegmentor'),
    ],
    ids=str,
)
@torch.no_grad()
def test_logits_of_classes_and_masks_are_theirs(pair, options):
    source, model, _ = pair(**options)
    source.attn_mask_probs.zero_()
    size = options.get('size', 64)
    wanted = source.eval()(photos(size, size))
    classes, masks = model.eval().extract_feat(photos(size, size))
    assert len(classes) == len(masks) == 1
    close(classes[0], wanted.class_queries_logits)
    close(masks[0], wanted.masks_queries_logits)
    assert wanted.masks_queries_logits.std() > 0.05


@torch.no_grad()
def test_another_shape_of_images_takes_resampled_positions(pair):
    _, model, _ = pair()
    for height, width in ((64, 96), (32, 64)):
        classes, masks = model.eval().extract_feat(photos(height, width))
        assert masks[0].shape == (2, QUERIES, height // 4, width // 4)
        assert classes[0].shape == (2, QUERIES, CLASSES + 1)


def calls_of(source):
    """Keep all predictions of theirs, which it gives only inside its losses."""
    kept, own = [], source.predict

    def predict(tokens):
        kept.append(own(tokens))
        return kept[-1]

    source.predict = predict
    return kept


@pytest.mark.parametrize('rotary', [False, True])
@pytest.mark.parametrize('kept', [1.0, 0.7, 0.3, 0.0])
def test_masked_attention_is_theirs_at_each_stage_of_the_annealing(pair, rotary, kept):
    source, model, head = pair(rotary=rotary)
    stages = [kept, min(1.0, kept + 0.3)]
    source.attn_mask_probs.copy_(torch.tensor(stages))
    wanted = calls_of(source)
    head._kept_masks = lambda: stages
    torch.manual_seed(7)
    source.train()(photos())
    torch.manual_seed(7)
    if kept == 0:
        torch.rand(2, QUERIES)  # theirs draws for nothing
    classes, masks = model.train().extract_feat(photos())
    assert len(classes) == len(wanted) == 3
    pairs = zip(masks, classes, strict=True)
    for (found, own), (mask, label) in zip(pairs, wanted, strict=True):
        close(found, mask)
        close(own, label)


def test_masks_fade_block_by_block_as_published():
    """Steps of the authors' configs, and the rule of their code, in float64."""
    configs = [
        (88692, [14782, 29564, 44346, 59128], [29564, 44346, 59128, 73910]),
        (39120, [6520, 13040, 19560, 26080], [13040, 19560, 26080, 32600]),
        (88692, [14782, 36955, 59128], [29564, 51737, 73910]),
    ]
    for total, begins, ends in configs:
        begins, ends = np.array(begins), np.array(ends)
        for step in range(0, total, 97):
            gone = np.clip((step - begins) / (ends - begins), 0, 1)
            found = kept_masks(step, total, len(begins), 1 / 6, 5 / 6, 1 / 6)
            assert found == pytest.approx((1 - gone) ** 0.9)


def test_the_step_of_the_run_decides_which_masks_are_kept(pair):
    _, _, head = pair()
    hub = MessageHub.get_instance('of a run')
    hub.update_info('max_iters', 600)
    for step, wanted in {0: [1, 1], 150: [0.5**0.9, 1], 499: [0, 0.01**0.9]}.items():
        hub.update_info('iter', step)
        assert head._kept_masks() == pytest.approx(wanted)


def objects():
    """Two images with overlapping objects, and none in a third."""
    masks = torch.zeros(3, 64, 64)
    masks[0, 5:30, 8:40], masks[1, 20:60, 30:64], masks[2, :, :20] = 1, 1, 1
    return [
        dict(masks=masks, labels=torch.tensor([2, 0, 2])),
        dict(masks=masks[1:2].flip(1), labels=torch.tensor([1])),
    ]


def test_losses_are_theirs_for_given_targets_and_points(pair):
    source, model, head = pair()
    targets = objects()
    head._kept_masks = lambda: [1.0, 1.0]
    torch.manual_seed(11)
    masks, labels = ([t[k] for t in targets] for k in ('masks', 'labels'))
    truth = dict(mask_labels=masks, class_labels=labels)
    wanted = source.train()(photos(), **truth).loss
    torch.manual_seed(11)
    truth = [InstanceData(labels=t['labels'], masks=t['masks'].long()) for t in targets]
    losses = head.loss_by_feat(*model.train().extract_feat(photos()), truth, [{}] * 2)
    assert len(losses) == 3 * 3
    close(sum(losses.values()).squeeze(), wanted)
    wanted.backward()
    sum(losses.values()).backward()
    close(head.query.weight.grad, source.query.weight.grad)
    ours_grad = model.backbone.patch_embed.proj.weight.grad
    close(ours_grad, source.embeddings.patch_embeddings.projection.weight.grad)


def test_an_image_without_objects_has_a_loss_of_classes_alone(pair):
    _, model, head = pair()
    none = torch.zeros(0, dtype=torch.long)
    empty = InstanceData(labels=none, masks=torch.zeros(0, 64, 64).long())
    predicted = model.train().extract_feat(photos())
    losses = head.loss_by_feat(*predicted, [empty] * 2, [{}] * 2)
    assert losses['loss_cls'] > 0
    assert losses['loss_mask'] == losses['loss_dice'] == 0
    sum(losses.values()).backward()


def test_more_objects_than_queries_are_told_once(pair, monkeypatch):
    from ccmim.dense import eomt_head

    _, model, head = pair()
    predicted = model.train().extract_feat(photos())
    crowd = InstanceData(
        labels=torch.zeros(QUERIES + 3, dtype=torch.long),
        masks=torch.randint(0, 2, (QUERIES + 3, 64, 64)),
    )
    told = []
    monkeypatch.setattr(eomt_head, 'print_log', lambda text, **_: told.append(text))
    for _ in range(2):
        losses = head.loss_by_feat(*predicted, [crowd] * 2, [{}] * 2)
    assert all(torch.isfinite(v) for v in losses.values())
    assert told == [
        'an image has 9 objects, and num_queries=6: those that fit worst are not '
        'learned from; raise num_queries'
    ]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(blocks=5), r'num_blocks=5 .* the backbone has 4 blocks'),
        (dict(num_things_classes=0), 'EoMTHead has no classes'),
        (dict(kind='EoMTSegmentor', num_classes=0), 'EoMTSemanticHead has no classes'),
        (dict(annealing=(0.5, 0.4, 0.1)), r'annealing=\(0\.5, 0\.4, 0\.1\) must be'),
    ],
)
def test_what_cannot_work_is_refused_in_a_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        ours(**options)
    assert '\n' not in str(error.value)


def test_images_are_whole_patches():
    with pytest.raises(ValueError, match='60 x 64 px are no whole patches of 16 px'):
        ours().extract_feat(photos(60, 64))


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('window_size', 2, 'leave backbone.window_size out'),
        ('rel_pos_bias', True, r'rel_pos_bias=False'),
        ('attention', 'lisa', r"attention='softmax'"),
    ],
)
def test_other_attention_is_refused(key, value, message):
    from ccmim.dense.eomt_parts import fit_head

    with pytest.raises(ValueError, match=message):
        fit_head({key: value}, {})
    for name in ('embed_dim', 'depth', 'patch_size'):
        with pytest.raises(ValueError, match=f'{name}=7 of the head does not fit the'):
            fit_head({}, {name: 7})


def test_weights_of_another_head_are_refused_in_a_line(tmp_path):
    model = ours()
    torch.save(theirs().state_dict(), tmp_path / 'theirs.bin')
    other = ours(num_things_classes=7)
    with pytest.raises(ValueError, match=r'class_head\.weight has shape \(4, 32\)'):
        load_eomt(other.backbone, other.panoptic_head, tmp_path / 'theirs.bin')
    torch.save(model.backbone.state_dict(), tmp_path / 'vit.pth')
    with pytest.raises(ValueError, match='is of no EoMT: it lacks class_head.bias'):
        load_eomt(model.backbone, model.panoptic_head, tmp_path / 'vit.pth')
    delta = {'network.encoder.backbone.patch_embed.patch_embeddings.weight': 0}
    torch.save(dict(state_dict=delta), tmp_path / 'delta.bin')
    with pytest.raises(ValueError, match="added to DINOv3's weights"):
        load_eomt(model.backbone, model.panoptic_head, tmp_path / 'delta.bin')
    head = {'query.weight': torch.full((QUERIES, WIDTH), torch.nan)}
    torch.save(theirs().state_dict() | head, tmp_path / 'nan.bin')
    with pytest.raises(ValueError, match=r'nan\.bin: query\.weight holds NaN'):
        load_eomt(model.backbone, model.panoptic_head, tmp_path / 'nan.bin')


@pytest.mark.parametrize('kind', ['EoMT', 'EoMTSegmentor'])
@torch.no_grad()
def test_pictures_show_the_attention_of_the_network(pair, kind, tmp_path, monkeypatch):
    """The masks are its own, and what it mixes is what it is said to attend to."""
    from ccmim.dense import query_pictures
    from ccmim.dense.query_pictures import load_eomt_run, look_at_queries, query_sheet

    _, model, head = pair(kind, rotary=True)
    model.data_preprocessor.mean = torch.full((3, 1, 1), 100.0)
    model.data_preprocessor.std = torch.full((3, 1, 1), 50.0)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    scores, masks, attention = look_at_queries(model.eval(), images)
    classes, logits = model.extract_feat((images - 100.0) / 50)
    close(masks, logits[-1].sigmoid())
    surest = classes[-1].softmax(-1)[..., :3].amax(-1).argmax(1)
    assert torch.equal(scores.argmax(1), surest)
    assert 0 < attention.sum(-1).max() < 1  # the rest is on queries and prefix
    # Values that are 1 for the patches and 0 elsewhere are mixed to the same sums.
    block, kept = model.backbone.blocks[-1], []
    own = block.attn.heads

    def heads(x, *args):
        q, k, v = own(x, *args)
        flags = torch.zeros_like(v)
        flags[:, :, -16:] = 1
        return q, k, flags

    block.attn.heads = heads
    block.attn.proj.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    model.extract_feat((images - 100.0) / 50)
    mixed = kept[-1][:, :QUERIES].unflatten(-1, (2, -1)).mean((-1, -2))
    close(attention.sum(-1), mixed)
    picture = query_sheet(model, images, count=2)
    assert picture.ndim == 3
    assert picture.std() > 10
    # Of files, as on the page of a transfer.
    names = [str(tmp_path / f'{i}.png') for i in range(2)]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(name)
    monkeypatch.setattr(query_pictures, 'load_eomt_run', lambda *_: model)
    drawn = query_pictures.draw_queries(None, 'x.pth', names, 'cpu')
    assert np.array_equal(drawn, query_sheet(model, images))
    with pytest.raises(ValueError, match='queries are of EoMT, and --config is a A'):
        load_eomt_run(ConfigDict(model=dict(type='A')), tmp_path / 'x.pth')


def test_a_published_file_is_loaded_by_the_tools(tmp_path):
    """By load_from and by tools/test.py, whole; of another head in a line."""
    from ccmim.engine.hooks.load_from import LoadFromHook, eomt_head

    source, model = theirs(), ours()
    torch.save(source.state_dict(), tmp_path / 'theirs.bin')
    content = dict(torch.load(tmp_path / 'theirs.bin'))
    assert eomt_head(model, content) is model.panoptic_head
    assert eomt_head(model, model.state_dict()) is None
    logged = []
    log = SimpleNamespace(info=logged.append, warning=logged.append)
    runner = SimpleNamespace(model=model, _resume=False, logger=log)
    runner._load_from = str(tmp_path / 'theirs.bin')
    LoadFromHook().after_load_checkpoint(runner, content)
    close(content['state_dict']['panoptic_head.query.weight'], source.query.weight)
    other = ours(num_things_classes=7)
    runner.model, state = other, dict(state_dict=dict(model.state_dict()))
    LoadFromHook().after_load_checkpoint(runner, state)
    assert 'panoptic_head.class_head.weight' not in state['state_dict']
    assert 'panoptic_head.query.weight' in state['state_dict']
    assert 'is of another head: 2 weights start anew, such as' in logged[-1]


@pytest.mark.parametrize(
    'kind', [pytest.param('EoMT', marks=pytest.mark.slow), 'EoMTSegmentor']
)
def test_a_graph_of_the_whole_gives_the_same_in_batches_of_any(
    pair, kind, tmp_path, monkeypatch
):
    """Of objects boxes and scores within 1e-4; of classes but for pixels on an edge."""
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name)
    from ccmim.export import whole

    _, model, _ = pair(kind)
    model.data_preprocessor.mean = torch.full((3, 1, 1), 100.0)
    model.data_preprocessor.std = torch.full((3, 1, 1), 50.0)
    scope = 'mmdet' if kind == 'EoMT' else 'mmseg'
    cfg = ConfigDict(model=dict(type=f'ccmim.{kind}', data_preprocessor={}))
    cfg.default_scope = scope
    found = SimpleNamespace(classes=('a', 'b', 'c'), model=model)
    monkeypatch.setattr(whole, 'config_of', lambda _: cfg)
    monkeypatch.setattr(whole, 'Predictor', lambda *_: found)
    graph = whole.Whole('run.pth')
    assert whole.export_whole(graph, tmp_path / 'eomt.onnx') > 100_000
    for batch in (1, 3):
        limit = 1e-4 if kind == 'EoMT' else 1e-3
        difference, count = whole.compare_whole(graph, tmp_path / 'eomt.onnx', batch)
        assert difference < limit
        assert count >= batch
    if kind == 'EoMTSegmentor':
        images = torch.rand(2, 3, 64, 64) * 255
        meta = [dict(img_shape=(64, 64), ori_shape=(64, 64))] * 2
        with torch.no_grad():
            scores = model.encode_decode((images - 100) / 50, meta)
            assert torch.equal(graph(images), scores.argmax(1))
