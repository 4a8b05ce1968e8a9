"""Record what the published ccMIM code computes, for tests/methods/test_parity.py.

Needs a clone of https://github.com/Sherrylone/ccMIM, which carries no licence and is
therefore only run, never copied:

    python tests/golden/record_published.py CLONE > tests/golden/ccmim_published.json

The network, the images and the noise come from formulae below, so that the file holds
only results: the noise-dependent visible sets, both losses and, for each parameter,
the norm of its gradient and its inner product with a fixed direction.
"""

import json
import math
import subprocess
import sys
import types
from functools import partial

import torch
from torch import nn

SIZE, PATCH, WIDTH, DEPTH, HEADS = 64, 16, 32, 2, 2
BATCH, SEED = 6, 7


def wave(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor of float64 that depends on the name alone, with entries around 1/5."""
    phase = sum(ord(letter) * (i + 1) for i, letter in enumerate(name)) % 1009
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return (0.2 * torch.sin(0.7 * index + index**2 * 0.013 + phase)).reshape(shape)


def pictures() -> torch.Tensor:
    """Images of shape (BATCH, 3, SIZE, SIZE) in about [-1, 1]."""
    return 5 * wave('pictures', (BATCH, 3, SIZE, SIZE))


def main(clone: str) -> None:
    sys.path.insert(0, clone)
    _shim_old_imports()
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    torch.Tensor.cuda = lambda self: self
    from models_ccmim import AttnMaskedAutoencoderViT

    arguments = types.SimpleNamespace(random=False, contrastive=True)
    torch.set_default_dtype(torch.float64)
    model = AttnMaskedAutoencoderViT(
        img_size=SIZE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH,
        num_heads=HEADS, decoder_embed_dim=16, decoder_depth=2, decoder_num_heads=2,
        norm_layer=partial(nn.LayerNorm, eps=1e-6), norm_pix_loss=True, args=arguments,
    ).double()  # fmt: skip
    model.contra_dim = 8
    model.projector[3] = nn.Linear(WIDTH, 8, bias=False)
    model.projector[4] = nn.BatchNorm1d(8, affine=False)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                shift = 1.0 if parameter.ndim == 1 and 'weight' in name else 0.0
                parameter.copy_(wave(name, tuple(parameter.shape)) + shift)
    torch.manual_seed(SEED)
    align, reconstruct, pred, mask = model(pictures(), mask_ratio=0.75)
    (reconstruct + 0.1 * align).backward()
    command = ['git', '-C', clone, 'rev-parse', 'HEAD']
    revision = subprocess.check_output(command, text=True)
    gradients = {}
    for name, parameter in model.named_parameters():
        if (grad := parameter.grad) is not None:
            along = (grad * wave(name + '/test', tuple(grad.shape))).sum()
            gradients[name] = [grad.norm().item(), along.item()]
    hidden_sum = (pred * wave('pred', tuple(pred.shape)))[mask == 1].sum()
    results = dict(
        source='Sherrylone/ccMIM models_ccmim.py',
        commit=revision.strip(),
        torch=torch.__version__,
        loss_align=align.item(),
        loss_reconstruct=reconstruct.item(),
        visible=[(row == 0).nonzero().flatten().tolist() for row in mask],
        masked_pred_sum=hidden_sum.item(),
        running_mean=model.projector[1].running_mean.norm().item(),
        gradients=gradients,
    )
    lines = [f'{json.dumps(k)}: {json.dumps(value)}' for k, value in results.items()]
    print('{\n' + ',\n'.join(lines).replace('], "', '],\n "') + '\n}')


def _shim_old_imports() -> None:
    import timm.layers
    import timm.models.vision_transformer as vision_transformer

    helpers = types.ModuleType('timm.models.layers.helpers')
    helpers.to_2tuple = timm.layers.to_2tuple
    layers = types.ModuleType('timm.models.layers')
    layers.DropPath, layers.helpers = timm.layers.DropPath, helpers
    sys.modules['timm.models.layers'] = layers
    sys.modules['timm.models.layers.helpers'] = helpers
    if not hasattr(vision_transformer, 'Mlp'):
        vision_transformer.Mlp = timm.layers.Mlp
    import numpy

    numpy.float = float


if __name__ == '__main__':
    main(sys.argv[1])
