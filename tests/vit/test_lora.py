"""Adapters: the start is the network, they alone are trained, files are plain."""

import pytest
import torch

from ccmim.checkpoints import build_backbone, load_backbone, read_weights
from ccmim.engine.launch import build_runner
from ccmim.vit import VisionTransformer
from ccmim.vit.lora import merge_lora
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
def test_the_start_is_the_network_and_merging_changes_nothing(options, images):
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
    plain.load_state_dict(merge_lora(adapted.state_dict()))
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
    own = vit.state_dict()
    for name, value in start.items():
        assert torch.equal(own.get(name, own.get(_inner(name))), value), name
    weights = read_weights(tmp_path / 'run' / 'epoch_2.pth')
    assert any('LoRA is merged' in line for line in weights.report)
    assert weights.state.keys() == start.keys()
    moved = [n for n, v in weights.state.items() if not torch.equal(v, start[n])]
    assert len(moved) == 2 * 4
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


def _inner(name):
    layer, _, kind = name.rpartition('.')
    return f'{layer}.base_layer.{kind}'
