"""Clones run through shims, and only those that compute the same are timed.

The clone is a stand-in of our own: our method under the names of the published code.
"""

import sys
from itertools import repeat

import numpy as np
import pytest
import torch

from benchmarks.gate import check, compare
from benchmarks.inputs import from_memory
from benchmarks.ours import OurMethod
from benchmarks.peers import PEERS
from benchmarks.published import PublishedMethod, import_code
from benchmarks.shims import one_process_group

CCMIM = PEERS[0]
MODELS = """
import numpy as np
import torch
from timm.models.layers import DropPath
from timm.models.layers.helpers import to_2tuple
from timm.models.vision_transformer import Mlp
from torch import distributed, nn
from util.misc import FACTOR, OFFSET
from benchmarks.ours import method_config
from ccmim.registry import MODELS


class AttnMaskedAutoencoderViT(nn.Module):
    def __init__(
        self, img_size, patch_size, embed_dim, depth, num_heads, decoder_embed_dim,
        decoder_depth, decoder_num_heads, norm_layer, norm_pix_loss, args,
    ):
        super().__init__()
        assert np.float(1) == 1 and norm_pix_loss and args.contrastive
        cfg = method_config('ccmim', 's').model
        cfg.backbone.update(
            arch=dict(embed_dim=embed_dim, depth=depth, num_heads=num_heads),
            img_size=img_size,
        )
        cfg.decoder.update(
            in_dim=embed_dim, embed_dim=decoder_embed_dim, depth=decoder_depth,
            num_heads=decoder_num_heads, img_size=img_size,
        )
        cfg.contrast.in_dim = embed_dim
        model = MODELS.build(cfg)
        for name in ('patch_embed', 'cls_token', 'pos_embed', 'blocks', 'norm'):
            setattr(self, name, getattr(model.backbone, name))
        for name in ('embed', 'pos_embed', 'blocks', 'norm', 'pred'):
            setattr(self, 'decoder_' + name, getattr(model.decoder, name))
        self.mask_token = model.decoder.mask_token
        self.projector = model.contrast.projector
        self.whole = [model]  # not a module of its own

    def forward(self, images, mask_ratio):
        assert mask_ratio == 0.75 and distributed.get_world_size() == 1
        losses = self.whole[0](images.cuda(), mode='loss')
        rest = losses['loss_reconstruction'] * FACTOR + OFFSET
        return losses['loss_contrast'] / 0.1, rest, None, None
"""
ENGINE = """
import torch
import util.misc as misc


def train_one_epoch(
    model, data_loader, optimizer, device, epoch, loss_scaler, log_writer=None,
    args=None,
):
    print('a line that the table must not show')
    for images, _ in data_loader:
        align, rest, *_ = model(images.to(device), mask_ratio=args.mask_ratio)
        loss_scaler(rest + 0.1 * align, optimizer)
        torch.cuda.synchronize()
        optimizer.zero_grad()
"""
MISC = """
from torch._six import inf
FACTOR = {factor}
OFFSET = {offset}


class MetricLogger:
    pass


class NativeScalerWithGradNormCount:
    def __call__(self, loss, optimizer):
        loss.backward()
        optimizer.step()
"""


@pytest.fixture
def clone(tmp_path):
    """Write a clone whose loss, or also its gradient, is a little off if wanted."""

    def write(factor=1.0, offset=0.0):
        folder = tmp_path / 'peers' / 'ccMIM'
        (folder / 'util').mkdir(parents=True)
        (folder / 'models_ccmim.py').write_text(MODELS)
        (folder / 'engine_pretrain.py').write_text(ENGINE)
        (folder / 'util' / 'misc.py').write_text(
            MISC.format(factor=factor, offset=offset)
        )
        return folder

    with one_process_group():
        yield write


def test_equal_code_passes_the_gate(clone):
    code = import_code(CCMIM, clone())
    loss, gradient = compare(code)
    assert loss < 1e-12
    assert gradient < 1e-10
    passed, line = check(code)
    assert passed
    assert 'computes the same' in line


@pytest.mark.parametrize('error', [dict(factor=1 + 1e-9), dict(offset=1e-11)])
def test_different_code_does_not_pass(clone, error):
    """Seen are a billionth of the gradient, and less than that of the loss alone."""
    passed, line = check(import_code(CCMIM, clone(**error)))
    assert not passed
    assert 'ccMIM: DOES NOT compute the same: not timed' in line


def test_shims_leave_no_trace(clone):
    folder = clone()
    names, path = {'timm.models.layers', 'torch._six', 'util'}, list(sys.path)
    before = {name: sys.modules.get(name) for name in names}
    check(import_code(CCMIM, folder))
    assert {name: sys.modules.get(name) for name in names} == before
    assert 'models_ccmim' not in sys.modules
    assert sys.path == path
    assert not hasattr(np, 'float')
    assert torch.Tensor.cuda.__name__ == 'cuda'
    assert not list(folder.rglob('__pycache__'))


@pytest.mark.parametrize('level', ['step', 'trainer'])
def test_both_levels_train(clone, level, capsys):
    tiny = {
        'model.backbone.arch': dict(_delete_=True, embed_dim=32, depth=1, num_heads=2),
        'model.backbone.img_size': 32,
        'model.decoder.in_dim': 32,
        'model.decoder.img_size': 32,
        'model.decoder.depth': 1,
        'model.contrast.in_dim': 32,
    }
    ours = OurMethod('ccmim', 's', tiny, torch.device('cpu'))
    theirs = PublishedMethod(import_code(CCMIM, clone()), ours)
    images = torch.randint(0, 256, (3, 3, 32, 32)).byte()
    row = theirs.row(level, 'fp32', 3, from_memory([images]))
    before = theirs.model.decoder_pred.weight.clone()
    row.train(repeat(images, 2))
    assert not torch.equal(theirs.model.decoder_pred.weight, before)
    assert row.flops is None  # the table holds the published shapes only
    assert capsys.readouterr().out == ''
    groups = theirs.optimizer.param_groups
    assert [group['weight_decay'] for group in groups] == [0.0, 0.05]


def test_what_cannot_be_imported_is_an_import_error(tmp_path):
    with pytest.raises(ImportError, match='models_ccmim'):
        import_code(CCMIM, tmp_path)
    (tmp_path / 'models_ccmim.py').write_text('class Bert(None): ...')
    with pytest.raises(ImportError, match='TypeError: NoneType takes no'):
        import_code(CCMIM, tmp_path)
