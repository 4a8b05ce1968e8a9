"""The network in plain operations, patch by patch: the oracle of the methods."""

import math

import torch


def drawn(model):
    """Keep the split that the model draws."""
    seen = {}
    model.sampler.register_forward_hook(lambda *a: seen.update(split=a[-1]))
    return seen


def assert_same_gradients(model, loss, slow, atol=1e-10):
    """Compare the gradients of two losses, of all that is trained."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    ours, theirs = (torch.autograd.grad(x, parameters) for x in (loss, slow))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=atol, rtol=0)


def make_lag(model):
    """Let a teacher differ from the fast network, and stay so."""
    for parameter in model.teacher.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model.teacher.momentum, model.teacher.started = 1.0, True


def on_pixels(mask):
    """Patches (B, 16) of a grid of 4 x 4 as pixels: (B, 1, 64, 64)."""
    grid = mask.reshape(-1, 1, 4, 4)
    return grid.repeat_interleave(16, 2).repeat_interleave(16, 3)


def patch_of(image, i):
    """The pixels of patch i, (3, 16, 16)."""
    columns = image.shape[-1] // 16
    top, left = 16 * (i // columns), 16 * (i % columns)
    return image[:, top : top + 16, left : left + 16]


def slow_embed(vit, image, i):
    """Embed patch i, without its position: (D,)."""
    proj = vit.patch_embed.proj
    return (proj.weight * patch_of(image, i)).sum((1, 2, 3)) + proj.bias


def slow_encode(vit, images, mask=None, token=None):
    """Encode images in the order of the grid, hidden patches as a token."""
    rows = []
    for b, image in enumerate(images):
        row = [vit.cls_token[0, 0]]
        for i in range(vit.pos_embed.shape[1] - 1):
            hidden = mask is not None and mask[b, i]
            row.append(token[0, 0] if hidden else slow_embed(vit, image, i))
        rows.append(torch.stack(row))
    x = torch.stack(rows) + vit.pos_embed
    for block in vit.blocks:
        x = slow_block(block, x)
    return vit.norm(x)


def slow_project(projector, x):
    """Project by a perceptron with batch statistics, layer by layer."""
    count = (len(projector.layers) + 1) // 3
    for i in range(count):
        norm = projector.layers[3 * i + 1]
        x = x @ projector.layers[3 * i].weight.T
        x = (x - x.mean(0)) / (x.var(0, correction=0) + norm.eps).sqrt()
        if i < count - 1:
            x = (x * norm.weight + norm.bias).clamp(min=0)
    return x


def slow_block(block, x, attended=None):
    """Transform tokens; what they attend to is added to a list, if one is given."""
    batch, length, dim = x.shape
    heads = block.attn.num_heads
    qkv = block.attn.qkv(block.norm1(x)).reshape(batch, length, 3, heads, dim // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    attention = torch.einsum('bhnc,bhmc->bhnm', q, k) / math.sqrt(dim // heads)
    attention = attention.softmax(-1)
    if attended is not None:
        attended.append(attention)
    mixed = torch.einsum('bhnm,bhmc->bnhc', attention, v).reshape(batch, length, dim)
    x = x + block.attn.proj(mixed)
    return x + block.mlp(block.norm2(x))
