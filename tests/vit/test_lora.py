"""Adapters: the start is the network, they alone are trained, files are plain."""

import pytest
import torch

from ccmim.checkpoints import build_backbone, load_backbone, read_weights
from ccmim.engine.compile import compile_blocks
from ccmim.engine.launch import build_runner
from ccmim.vit import VisionTransformer
from tests.short_runs import record_losses, short_config

pytest.importorskip('peft')
ARCH = dict(embed_dim=32, depth=2, num_heads=2)


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(3)
    plain = VisionTransformer(ARCH, 64, pos_embed='learned', layer_scale_init=0.5)
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    return tmp_path / 'plain.pth'


def _outputs(vit, images):
    """All ways through a network."""
    tokens = vit.embed(images)
    return [
        vit.encode(tokens),
        vit.encode(tokens, class_only=True),
        vit.class_attention(tokens, [0, 1]),
        vit(images)[0],
    ]


@pytest.mark.parametrize(
    'options', [{}, dict(window_size=2, global_blocks=(1,)), dict(act='swiglu')]
)
def test_the_start_is_the_network_and_so_is_what_is_merged(options, images, tmp_path):
    kind = dict(arch=ARCH, img_size=64, **options)
    plain, adapted = VisionTransformer(**kind), VisionTransformer(**kind, lora=2)
    torch.nn.init.normal_(plain.blocks[0].attn.qkv.bias)
    adapted.load_state_dict(plain.state_dict(), strict=False)
    before = _outputs(plain, images)
    for ours, theirs in zip(_outputs(adapted, images), before, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    trained = [n for n, p in adapted.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 2 * 4
    assert all('.lora_' in name for name in trained)
    assert {adapted.layer_id(name) for name in trained} == {1, 2}
    for name, value in adapted.named_parameters():
        if '.lora_B' in name:
            torch.nn.init.normal_(value, std=0.05)
    adapted.load_state_dict(adapted.state_dict())
    torch.save(adapted.state_dict(), tmp_path / 'vit.pth')
    load_backbone(plain, tmp_path / 'vit.pth')
    merged, start = _outputs(plain, images), _outputs(adapted, images)
    for ours, theirs in zip(start, merged, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(start, before, strict=True))


@pytest.mark.slow
def test_a_run_trains_adapters_and_leaves_plain_weights(file, image_folder, tmp_path):
    """Resumed exactly; what any reader gets is what was trained."""

    def train(**changes):
        backbone = dict(pos_embed='learned', layer_scale_init=0.5, lora=2)
        changes = {
            **{f'model.backbone.{key}': value for key, value in backbone.items()},
            'model.backbone.init_cfg': dict(checkpoint=str(file)),
            'model.anchor': dict(type='GramAnchor', weight=1.0),
            'optim_wrapper.paramwise_cfg.layer_decay': 0.5,
            'optim_wrapper.accumulative_counts': 2,
            'model.backbone.frozen_stages': 1,
            'custom_hooks': [dict(type='EMAHook')],
            'optim_wrapper.clip_grad': dict(max_norm=1.0),
            'train_cfg.max_epochs': 2,
            **changes,
        }
        config = short_config('small/mae_vitt', tmp_path / 'run', image_folder, changes)
        runner = build_runner(config)
        losses = record_losses(runner)
        runner.train()
        return runner, losses

    runner, losses = train()
    vit, start = runner.model.backbone.eval(), torch.load(file)
    content = torch.load(tmp_path / 'run' / 'epoch_2.pth', weights_only=False)
    own = {
        k.removeprefix('backbone.'): v
        for k, v in content['state_dict'].items()
        if k.startswith('backbone.')
    }
    vit.load_state_dict(own)  # the averaged one
    for name, value in start.items():
        inner = '.base_layer.'.join(name.rsplit('.', 1))
        assert torch.equal(own.get(name, own.get(inner)), value), name
    weights = read_weights(tmp_path / 'run' / 'epoch_2.pth')
    assert any('LoRA is merged' in line for line in weights.report)
    assert weights.state.keys() == start.keys()
    moved = [n for n, v in weights.state.items() if not torch.equal(v, start[n])]
    assert len(moved) == 4  # in the block that is not frozen
    plain = build_backbone(tmp_path / 'run' / 'epoch_2.pth').eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(
            _outputs(vit, images), _outputs(plain, images), strict=True
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    again = VisionTransformer(
        ARCH, 64, pos_embed='learned', layer_scale_init=0.5, lora=4
    )
    load_backbone(again, tmp_path / 'run' / 'epoch_2.pth')  # and go on with new ones
    (tmp_path / 'run' / 'epoch_2.pth').unlink()
    (tmp_path / 'run' / 'last_checkpoint').unlink()
    _, resumed = train(resume=True)
    assert resumed == losses[len(losses) // 2 :]


@pytest.mark.slow
def test_compiled_blocks_compute_the_same(images):
    torch._dynamo.reset()
    vit = VisionTransformer(ARCH, 64, lora=2)
    for name, value in vit.named_parameters():
        if '.lora_B' in name:
            torch.nn.init.normal_(value, std=0.05)
    expected = vit.encode(vit.embed(images))
    assert compile_blocks(vit, backend='aot_eager')
    found = vit.encode(vit.embed(images))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    found.square().sum().backward()
    assert vit.blocks[0].mlp.fc1.lora_B.default.weight.grad.abs().max() > 0


def test_adapters_that_would_train_nothing_or_what_is_random_are_told(file, recwarn):
    half = VisionTransformer(ARCH, 64, lora=2, frozen_stages=1)
    trained = [n for n, p in half.named_parameters() if p.requires_grad]
    assert {half.layer_id(name) for name in trained} == {2}
    with pytest.raises(ValueError, match='lora=2 would train nothing, as frozen_sta'):
        VisionTransformer(ARCH, 64, lora=2, frozen_stages=2)
    with pytest.warns(UserWarning, match='lora=2 adapts random weights'):
        half.init_weights()
    kind = dict(arch=ARCH, img_size=64, pos_embed='learned', layer_scale_init=0.5)
    VisionTransformer(**kind).init_weights()
    VisionTransformer(
        **kind, lora=2, init_cfg=dict(checkpoint=str(file))
    ).init_weights()
    assert not [w for w in recwarn if 'lora' in str(w.message)]
