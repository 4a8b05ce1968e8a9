"""Parameters of published code find ours, and code that cannot be run is left out."""

import pytest
import torch
from torch import nn

from benchmarks.peers import PEERS, _HardPatches
from benchmarks.plan import Plan
from benchmarks.run import admit_peers

BY_FOLDER = {peer.folder: peer for peer in PEERS}
BLOCK = ('norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2')
OPENMMLAB = ('ln1', 'attn.qkv', 'attn.proj', 'ln2', 'ffn.layers.0.0', 'ffn.layers.1')


def _mmpretrain(name):
    """Our names of MAE, as mmpretrain calls them, from its files."""
    for ours, theirs in zip(BLOCK, OPENMMLAB, strict=True):
        name = name.replace(f'.{ours}.', f'.{theirs}.')
    for ours, theirs in (
        ('backbone.blocks.', 'backbone.layers.'),
        ('backbone.norm.', 'backbone.ln1.'),
        ('patch_embed.proj.', 'patch_embed.projection.'),
        ('decoder.norm.', 'neck.ln1.'),
        ('decoder.mask_token', 'neck.mask_token'),
        ('decoder.', 'neck.decoder_'),
    ):
        name = name.replace(ours, theirs)
    return name


def test_names_of_mmpretrain(tiny_mae):
    names = [n for n, _ in tiny_mae().named_parameters()]
    theirs = [_mmpretrain(name) for name in names]
    assert theirs[-1] == 'neck.decoder_pred.bias'
    found = BY_FOLDER['mmpretrain'].rename([*theirs, 'data_preprocessor.mean'])
    assert found == dict(zip(theirs, names, strict=True))


def test_names_of_hpm():
    """What predicts the loss shares parts with the decoder there, so it is left out."""
    found = BY_FOLDER['HPM'].rename([
        'network.cls_token',
        'network.blocks.0.attn.qkv.weight',
        'network.decoder_embed.weight',
        'network.decoder_blocks_losspred.0.norm1.weight',
        'teacher.cls_token',
    ])  # fmt: skip
    assert list(found.values()) == [
        'backbone.cls_token',
        'backbone.blocks.0.attn.qkv.weight',
        'decoder.embed.weight',
    ]


class _Network(nn.Module):
    """What ``_HardPatches`` asks of a network, with one weight and four patches."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.patch_embed = nn.Module()
        self.patch_embed.num_patches = 4

    def forward(self, images, mask):
        shown = images.flatten(1) * self.weight
        return dict(pix_pred=shown, loss_pred=shown, mask_num=int(mask[0].sum()))

    def generate_mask(self, predicted, mask_ratio, guide, epoch, total_epoch):
        assert (mask_ratio, guide, epoch / total_epoch) == (0.75, True, 0.5)
        return torch.ones_like(predicted).scatter(1, predicted.argmin(1)[:, None], 0)

    def forward_loss(self, images, pred, mask):
        assert pred.shape[1] == mask[0].sum()
        return dict(mean=pred.mean(), matrix=pred)

    def forward_learning_loss(self, pred, mask, target, relative):
        assert relative
        assert not target.requires_grad
        return pred.sum()


def test_a_step_of_hpm_hides_what_the_copy_foretells():
    model = _HardPatches(_Network())
    images = torch.tensor([[[4.0, 1.0], [2.0, 3.0]]])
    loss = model(images)  # the last three of four are looked at: 1, 2, 3
    assert loss.item() == 2 + 6
    loss.backward()
    assert model.network.weight.grad is not None
    assert model.teacher.weight.grad is None
    mask = torch.tensor([[False, False, True, True]])
    assert model(images, mask).item() == 2.5
    with torch.no_grad():
        model.network.weight.fill_(2.0)
    model(images)
    assert model.teacher.weight.item() == pytest.approx(1.0001)


def test_code_of_a_method_that_cannot_be_imported_is_left_out_with_one_line(
    tmp_path, capsys, monkeypatch
):
    folder = tmp_path / 'HPM'
    folder.mkdir()
    (folder / 'models_mae_learn_loss.py').write_text('import no_such_package\n')
    monkeypatch.setattr('benchmarks.run.find_spec', lambda name: None)
    plan = Plan(methods=['mae', 'hpm'], batch_sizes=[1], peers=tmp_path)
    assert admit_peers(plan) == ([], True)
    assert capsys.readouterr().out.splitlines() == [
        f'mae: not in {tmp_path}, left out',
        'HPM: left out, its code cannot be imported: '
        "No module named 'no_such_package'; pip install einops",
        f'mmpretrain: not in {tmp_path}, left out',
    ]
